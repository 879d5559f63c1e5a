/** Classification of request errors. Pure. */

/**
 * `reported`: an error of Turbopilot with its own message · `busy`: the server has too many requests · `limited`: the user has ·
 * `unreachable`: no connection · `timeout`: no response in time · `unexpected`: an unexpected response · `incomplete`: an incomplete response ·
 * `denied`: unauthenticated or forbidden · `missing`: no such route, the server extension is not enabled ·
 * `no server`: no Jupyter server · `stopped`: JupyterHub reports that the user's server is not running · `failed`: any
 * other status.
 */
export type ErrorKind =
  | 'reported'
  | 'busy'
  | 'limited'
  | 'unreachable'
  | 'timeout'
  | 'unexpected'
  | 'incomplete'
  | 'denied'
  | 'missing'
  | 'no server'
  | 'stopped'
  | 'failed';

export interface IRequestError {
  kind: ErrorKind;
  /** The server's message, or the status. */
  message: string;
  /** The Retry-After delay in milliseconds. */
  retryAfter: number;
}

/** The code of an error response that is not Turbopilot's. */
export const UNKNOWN_CODE = 'unknown';

/** The code of an error: the user removed the model or stopped its download. */
export const WITHHELD = 'withheld';

/** The code of an error: the administrator has switched suggestions off, everywhere or for a document. */
export const DISABLED = 'disabled';

/** Return whether the administrator has switched suggestions off for a request. */
export function isDenial(reason: unknown): reason is ServerError {
  return reason instanceof ServerError && reason.code === DISABLED;
}

/** An error response of the server. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter = 0
  ) {
    super(message);
  }
}

/** An invalid, incomplete or missing response. */
export class ResponseError extends Error {
  constructor(readonly kind: 'timeout' | 'unexpected' | 'incomplete' | 'no server') {
    super(`Response error: ${kind}.`);
  }
}

/** Read a Retry-After header, seconds or a date, as milliseconds from `now`. */
export function readRetryAfter(header: string | null, now: number): number {
  const value = header?.trim() ?? '';
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Classify an exception. */
export function requestErrorOf(reason: unknown): IRequestError {
  if (reason instanceof ResponseError) {
    return { kind: reason.kind, message: '', retryAfter: 0 };
  }
  if (reason instanceof ServerError) {
    const { status, code, message, retryAfter } = reason;
    const kind = isDenial(reason)
      ? 'reported'
      : status === 401 || status === 403
        ? 'denied'
        : status === 429
          ? code.startsWith('too_many_')
            ? 'limited'
            : 'busy'
          : status === 404 && (code === UNKNOWN_CODE || code === 'not_found')
            ? 'missing'
            : status === 424 && code === UNKNOWN_CODE
              ? 'stopped'
              : code === UNKNOWN_CODE
                ? 'failed'
                : 'reported';
    return { kind, message: kind === 'failed' ? `${status} ${message}`.trim() : message, retryAfter };
  }
  return { kind: 'unreachable', message: '', retryAfter: 0 };
}
