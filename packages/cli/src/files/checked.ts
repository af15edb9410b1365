/** @file Checks a value that came from a file against a schema. Whatever is read is hostile until it has been here. */
import type * as z from 'zod';
import { UserError } from '../terminal/errors.ts';

/** Said where zod itself fails: it compares `length` before it knows a string, and an object may have one that is no number. */
export const MISLEADING = 'cannot be used: an object in it has a "length" that is no number';

/** A value as its schema returns it. @throws UserError naming the first few places that do not fit */
export function checked<T>(schema: z.ZodType<T>, value: unknown, name: string, exitCode: 1 | 2 = 1): T {
  let result: z.ZodSafeParseResult<T>;
  try {
    result = schema.safeParse(value);
  } catch (error) {
    throw new UserError(`${name} ${MISLEADING}`, exitCode, { cause: error });
  }
  if (result.success) return result.data;
  const problems = result.error.issues.slice(0, 3).map(({ path, message }) => {
    const place = path.map(String).join('.').slice(0, 80);
    return place === '' ? message.slice(0, 160) : `${place}: ${message.slice(0, 160)}`;
  });
  const more = result.error.issues.length > 3 ? `; and ${result.error.issues.length - 3} more` : '';
  throw new UserError(`${name} cannot be used: ${problems.join('; ')}${more}`, exitCode, { cause: result.error });
}
