/** @file A solution of exercise 13. */

export function rope(x: readonly number[], position: number, theta: number): number[] {
  return x.map((_, c) => {
    const first = c - (c % 2);
    const t = position * theta ** (-first / x.length);
    const [a, b] = [x[first], x[first + 1]];
    return c === first ? a * Math.cos(t) - b * Math.sin(t) : a * Math.sin(t) + b * Math.cos(t);
  });
}
