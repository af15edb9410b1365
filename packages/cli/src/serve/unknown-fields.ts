/** @file Fields of a request that nothing reads. */
import { nearestName } from '../terminal/nearest-name.ts';
import { ApiError } from './api-error.ts';

/** Fields of OpenAI's API that change nothing of an answer. */
const HARMLESS: ReadonlySet<string> = new Set([
  'user',
  'store',
  'metadata',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
]);

/** Whether a value is a list without anything. */
export const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/**
 * Refuses a field that would be ignored, because the answer would not be the one that was asked for. `null` stands for a field that is left out.
 * @param known names of the fields that are read   @param where the object is in the body, such as `messages.0.`
 * @throws ApiError naming the field, and the one that was probably meant
 */
export function refuseUnknown(fields: object, known: readonly string[], where = ''): void {
  for (const [name, value] of Object.entries(fields)) {
    if (value == null || known.includes(name) || (where === '' && HARMLESS.has(name))) continue;
    const shown = where + name.slice(0, 100);
    const near = nearestName(name.slice(0, 100), known);
    const instead = near === undefined ? 'leave it out' : `leave it out, or give ${where}${near} if that was meant`;
    throw new ApiError(400, `${shown} is not served; ${instead}`, shown);
  }
}
