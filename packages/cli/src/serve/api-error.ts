/** @file Refusals in the form that clients of the OpenAI API read. */
import type { ServerResponse } from 'node:http';

/** A request that is refused, with the status and the words of the answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** The parameter at fault. */
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, param: string | null = null, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.param = param;
    this.headers = headers;
  }
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
};

/** The body of a refusal. */
export const errorBody = ({ status, message, param }: ApiError) => ({
  error: { message, type: TYPES[status] ?? 'invalid_request_error', param, code: null },
});

/** Answers with JSON, and keeps neither copies nor guesses of its type. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(body);
}
