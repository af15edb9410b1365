/** How many cases a property runs: `n` in the ordinary test run, 20 times as many under `pnpm test:slow`. */
export const runs = (n: number): number => (process.env.BLT_SLOW ? n * 20 : n);
