/** @file Numbers for people: bytes, counts, durations. */
/** Numbers for people: three significant figures, SI steps of 1000, a unit. All functions are pure. */

const STEPS = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** Scales to 1..999 and a prefix: 18213 -> ['18.2', 'k']. Rounds first, so 999_950 is 1.00 M and not 1000 k. */
function scaled(value: number): [string, string] {
  let size = Math.abs(value);
  let step = 0;
  while (step < STEPS.length - 1 && Number(size.toPrecision(3)) >= 1000) {
    size /= 1000;
    step++;
  }
  const digits = step === 0 && Number.isInteger(size) ? String(size) : size.toPrecision(3);
  // toPrecision writes 1000 E and beyond, and anything under 1e-6, with an exponent: fine for such numbers.
  return [value < 0 ? `-${digits}` : digits, STEPS[step]];
}

/** 1234567 -> `1.23M`, 950 -> `950`. Non-finite values give `nan`, `inf` or `-inf`. */
export function humanCount(count: number): string {
  if (!Number.isFinite(count)) return nonFinite(count);
  const [digits, prefix] = scaled(count);
  return digits + prefix;
}

/** Bits per byte with their standard error, where it is known: `2.107 ± 0.012`. */
export function plusMinus(
  { bitsPerByte, standardError }: { readonly bitsPerByte: number; readonly standardError: number | null },
  digits: number,
): string {
  const error = standardError === null ? '' : ` ± ${standardError.toFixed(digits)}`;
  return `${bitsPerByte.toFixed(digits)}${error}`;
}

/**
 * A number of things: `1 byte`, `2 bytes`.
 * @param digits the number as it is shown
 */
export const counted = (n: number, thing: string, plural = `${thing}s`, digits = String(n)): string =>
  `${digits} ${n === 1 ? thing : plural}`;

/** The same with commas between groups of three digits: `12,345 documents`. */
export const grouped = (n: number, thing: string): string => counted(n, thing, undefined, n.toLocaleString('en'));

/** Bytes in SI units: 18213 -> `18.2 kB`, 300 -> `300 B`. */
export function humanBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return `${nonFinite(bytes)} B`;
  const [digits, prefix] = scaled(bytes);
  return `${digits} ${prefix}B`;
}

/**
 * Seconds in at most two units: 0.42 -> `0.4s`, 47 -> `47s`, 372 -> `6m 12s`, 7500 -> `2h 05m`, 200000 -> `2d 07h`.
 * Rounded to the smaller unit shown. Negative counts as 0.
 */
export function humanDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const tenths = Math.round(Math.max(0, seconds) * 10);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)}d ${pad(hours % 24)}h`;
}

/** `1.842`, or `nan` / `inf`: a run that diverges must show it. */
export function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : nonFinite(value);
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

const pad = (n: number): string => String(n).padStart(2, '0');
