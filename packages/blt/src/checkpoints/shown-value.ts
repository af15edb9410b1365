/** @file Values of a configuration file in error messages. */
/**
 * A value of a configuration for a message, at most 60 characters: JSON, but numbers that JSON has no word for by their own names, and
 * `nothing` for what is missing.
 */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  try {
    const named = (_: string, part: unknown) =>
      typeof part === 'number' && !Number.isFinite(part) ? String(part) : part;
    const text = typeof value === 'number' ? String(value) : JSON.stringify(value, named);
    return (text ?? String(value)).slice(0, 60);
  } catch {
    // JSON.stringify recurses, and refuses circles.
    return Array.isArray(value) ? 'a list nested too deeply' : 'an object nested too deeply';
  }
}
