/** @file The numbers of a page of documentation, as they are printed there. */

/** True if a printed number is `value` rounded to the decimals that it shows. 32-bit arithmetic may have moved the value by 4e-7 of it. */
export function agrees(printed: string, value: number): boolean {
  const places = printed.split('.')[1]?.length ?? 0;
  return Math.abs(Number(printed) - value) <= 0.5 * 10 ** -places + 4e-7 * Math.abs(value);
}

/** The text without programs and quoted sources, which have checks of their own, and without targets of links. */
const prose = (page: string): string => page.replace(/^```(?:ts|sh)\b[\s\S]*?^```$/gm, '').replace(/\]\([^)]*\)/g, ']');

/** All numbers with two decimals or more in text, tables and formulas. */
export const decimals = (page: string): string[] => prose(page).match(/(?<![\w.])-?\d+\.\d{2,}(?![\d])/g) ?? [];

/** Rows of the tables under the headings "By hand" and "In numbers": the first cell, and the numbers of the others. */
export function rowsByHand(page: string): { label: string; numbers: string[] }[] {
  const sections = [...page.matchAll(/^## (?:By hand|In numbers)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)];
  const lines = sections.flatMap(([, section]) => prose(section).split('\n'));
  return lines
    .filter((line, i) => line.startsWith('|') && !line.startsWith('|-') && !lines[i + 1]?.startsWith('|-'))
    .map((line) => {
      const [label, ...cells] = line.slice(1, -1).split(/(?<!\\)\|/);
      return { label: label.replaceAll('`', '').trim(), numbers: cells.join(' ').match(/-?\d+(?:\.\d+)?/g) ?? [] };
    });
}
