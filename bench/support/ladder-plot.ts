/** @file A ladder of kernels as a table in Markdown, as the same read back, and as a picture. */

/** One rung as it was measured. */
export interface MeasuredRung {
  readonly file: string;
  readonly adds: string;
  /** In the unit of the ladder. */
  readonly rate: number;
  /** How many times faster than the rung before; null for the first. */
  readonly step: number | null;
  /** Share of the ceiling, 0 to 1. */
  readonly share: number;
}

/** The rungs of one kernel, and the ceiling that was measured beside them. */
export interface Ladder {
  readonly title: string;
  readonly unit: string;
  readonly ceiling: number;
  readonly rungs: readonly MeasuredRung[];
}

const FOLDERS: readonly (readonly [prefix: string, from: string])[] = [
  ['wasm/', '../packages/tensor/src/'],
  ['', '../examples/kernels/'],
];
const linked = (file: string) => `[${file}](${FOLDERS.find(([prefix]) => file.startsWith(prefix))![1]}${file})`;

/** The lines of a ladder in Markdown, for a page in docs/. */
export function ladderTable({ title, unit, ceiling, rungs }: Ladder): string[] {
  return [
    `**${title}** (ceiling ${ceiling} ${unit})`,
    '',
    `| rung | what it adds | ${unit} | times the rung before | share of the ceiling |`,
    '|---|---|--:|--:|--:|',
    ...rungs.map(
      ({ file, adds, rate, step, share }) =>
        `| ${linked(file)} | ${adds} | ${rate} | ${step ?? ''} | ${(100 * share).toFixed(1)}% |`,
    ),
  ];
}

/** The ladders whose tables stand in a page. */
export function laddersIn(page: string): Ladder[] {
  const tables = page.matchAll(/^\*\*(.*)\*\* \(ceiling (\S+) (\S+)\)\n\n\|.*\n\|.*\n((?:\|.*\n)+)/gm);
  return [...tables].map(([, title, ceiling, unit, rows]) => ({
    title,
    unit,
    ceiling: Number(ceiling),
    rungs: [...rows.matchAll(/^\| \[(.*?)\]\(.*?\) \| (.*?) \| (\S+) \| (\S*) ?\| (\S+)% \|$/gm)].map(
      ([, file, adds, rate, step, share]) => ({
        file,
        adds,
        rate: Number(rate),
        step: step === '' ? null : Number(step),
        share: Number(share) / 100,
      }),
    ),
  }));
}

const [INK, MUTED] = ['#1f2933', '#5b6670'];
const BARS = ['#8db9e4', '#2f6fb0'];
const [LEFT, WIDE, BAR, GAP] = [18, 560, 20, 30];

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const text = (x: number, y: number, words: string, size: number, fill = INK, weight = 400) =>
  `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" font-weight="${weight}">${escaped(words)}</text>`;

/** The bars of one ladder from the height `top` on: as long as their share of the ceiling. */
function bars({ title, unit, ceiling, rungs }: Ladder, top: number): { parts: string[]; bottom: number } {
  const parts = [
    text(LEFT, top, title, 15, INK, 600),
    text(LEFT, top + 18, `the frame is the ceiling, ${ceiling} ${unit}`, 11, MUTED),
  ];
  let y = top + 32;
  for (const { file, adds, rate, share } of rungs) {
    const width = Math.max(1, Math.round(Math.min(1, share) * WIDE * 10) / 10);
    const shipped = file.startsWith('wasm/');
    parts.push(
      `<rect x="${LEFT}" y="${y}" width="${WIDE}" height="${BAR}" fill="#f6f7f8" stroke="#b8c0c8"/>`,
      `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR}" fill="${BARS[shipped ? 1 : 0]}"/>`,
      text(LEFT + WIDE + 12, y + 9, `${rate} ${unit}`, 12, INK, 600),
      text(LEFT + WIDE + 12, y + 22, adds, 11, MUTED),
    );
    y += GAP;
  }
  return { parts, bottom: y };
}

/** The ladders as one picture. The bars are linear, so that lengths compare as the figures do. */
export function drawLadders(ladders: readonly Ladder[]): string {
  const parts: string[] = [];
  let y = 34;
  for (const ladder of ladders) {
    const drawn = bars(ladder, y);
    parts.push(...drawn.parts);
    y = drawn.bottom + 36;
  }
  const [width, height] = [LEFT + WIDE + 340, y - 20];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
    '<title>Rungs of three kernels, from the plain loop to the shipped one, as shares of the ceiling</title>',
    `<rect width="${width}" height="${height}" rx="10" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
