/** @file Bits per byte against a budget, such as minutes or FLOPs, as a picture: the best of each contender at each budget. */

/** The figure of one run. */
export interface BudgetPoint {
  /** The contender. */
  readonly name: string;
  readonly budget: number;
  /** Held out. */
  readonly bitsPerByte: number;
}

/** The horizontal axis. */
interface Axis {
  /** `minutes of training` */
  readonly of: string;
  /** A budget as the axis writes it. */
  readonly label: (budget: number) => string;
}

/** A horizontal line. */
interface Reference {
  readonly name: string;
  readonly bitsPerByte: number;
}

const [INK, MUTED] = ['#1f2933', '#5b6670'];
const COLORS = ['#2f6fb0', '#c2410c', '#15803d', '#7c3aed', '#a16207', '#0b3d70', '#be185d', '#5b6670'];
const [WIDTH, HEIGHT] = [860, 400];
const PLOT = { left: 60, top: 20, width: 520, height: 320 };

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const words = (x: number, y: number, text: string, fill = INK, anchor = 'start') =>
  `<text x="${Math.round(x)}" y="${Math.round(y)}" font-size="12" fill="${fill}" text-anchor="${anchor}">${escaped(text)}</text>`;

/** The best figure of each contender at each of its budgets, by name. */
function bestOf(rows: readonly BudgetPoint[]): Map<string, Map<number, number>> {
  const best = new Map<string, Map<number, number>>();
  for (const { name, budget, bitsPerByte } of rows) {
    const line = best.get(name) ?? new Map<number, number>();
    line.set(budget, Math.min(line.get(budget) ?? Number.POSITIVE_INFINITY, bitsPerByte));
    best.set(name, line);
  }
  return best;
}

/** The picture. Budgets stand on a logarithmic axis, because twice the time is what a reader decides about. */
export function drawBudgets(
  rows: readonly BudgetPoint[],
  references: readonly Reference[],
  { of, label }: Axis,
): string {
  const values = [...rows, ...references].map(({ bitsPerByte }) => bitsPerByte);
  const [low, high] = [Math.min(...values) - 0.03, Math.max(...values) + 0.03];
  const budgets = [...new Set(rows.map(({ budget }) => budget))].sort((a, b) => a - b);
  const [first, last] = [Math.log(budgets[0] / 1.3), Math.log(budgets[budgets.length - 1] * 1.3)];
  const x = (budget: number) => PLOT.left + ((Math.log(budget) - first) / (last - first)) * PLOT.width;
  const y = (bits: number) => PLOT.top + ((high - bits) / (high - low)) * PLOT.height;
  const parts = [
    `<rect x="${PLOT.left}" y="${PLOT.top}" width="${PLOT.width}" height="${PLOT.height}" fill="#f6f7f8" stroke="#b8c0c8"/>`,
    ...budgets.map((budget) => words(x(budget), PLOT.top + PLOT.height + 18, label(budget), MUTED, 'middle')),
  ];
  for (let tick = Math.ceil(low * 10) / 10; tick <= high; tick += 0.1) {
    parts.push(words(PLOT.left - 8, y(tick) + 4, tick.toFixed(1), MUTED, 'end'));
  }
  for (const { name, bitsPerByte } of references) {
    const at = y(bitsPerByte).toFixed(1);
    parts.push(
      `<path d="M${PLOT.left} ${at}h${PLOT.width}" stroke="${MUTED}" stroke-dasharray="4 4"/>`,
      words(PLOT.left + 6, y(bitsPerByte) - 5, name, MUTED),
    );
  }
  [...bestOf(rows)].forEach(([name, line], i) => {
    const color = COLORS[i % COLORS.length];
    const points = [...line].sort(([a], [b]) => a - b).map(([budget, bits]) => [x(budget), y(bits)]);
    const path = points.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join('L');
    parts.push(
      `<path d="M${path}" fill="none" stroke="${color}" stroke-width="2"/>`,
      ...points.map(([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="4" fill="${color}"/>`),
      `<rect x="${PLOT.left + PLOT.width + 20}" y="${PLOT.top + 22 * i}" width="12" height="12" fill="${color}"/>`,
      words(PLOT.left + PLOT.width + 40, PLOT.top + 22 * i + 11, name),
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
    `<title>Held-out bits per byte against ${of}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="10" fill="#ffffff"/>`,
    ...parts,
    words(PLOT.left, HEIGHT - 18, `held-out bits per byte (lower is better) against ${of} (logarithmic)`, MUTED),
    '</svg>',
    '',
  ].join('\n');
}
