/** Classification of request errors. Pure. */

/**
 * `told`: an error of Turbopilot with its own message · `busy`: the server or the user has too many requests ·
 * `unreachable`: no connection · `silent`: timeout · `garbled`: an unexpected response · `cut`: an incomplete response ·
 * `refused`: unauthenticated or forbidden · `absent`: no such route, the server extension is not enabled ·
 * `serverless`: no Jupyter server · `stopped`: JupyterHub reports that the user's server is not running · `failed`: any
 * other status.
 */
export type Kind =
  | 'told'
  | 'busy'
  | 'unreachable'
  | 'silent'
  | 'garbled'
  | 'cut'
  | 'refused'
  | 'absent'
  | 'serverless'
  | 'stopped'
  | 'failed';

export interface ITrouble {
  kind: Kind;
  /** The server's message, or the status. */
  message: string;
  /** The Retry-After delay in milliseconds. */
  retryAfter: number;
}

/** The code of an error response that is not Turbopilot's. */
export const FOREIGN = 'unknown';

/** The code of an error: the user removed the model or stopped its download. */
export const WITHHELD = 'withheld';

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
export class AnswerError extends Error {
  constructor(readonly kind: 'silent' | 'garbled' | 'cut' | 'serverless') {
    super(`The answer was ${kind}.`);
  }
}

/** Read a Retry-After header, seconds or a date, as milliseconds from `now`. */
export function readRetryAfter(header: string | null, now: number): number {
  const value = header?.trim() ?? '';
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Classify an exception. */
export function troubleOf(reason: unknown): ITrouble {
  if (reason instanceof AnswerError) {
    return { kind: reason.kind, message: '', retryAfter: 0 };
  }
  if (reason instanceof ServerError) {
    const { status, code, message, retryAfter } = reason;
    const kind =
      status === 401 || status === 403
        ? 'refused'
        : status === 429
          ? 'busy'
          : status === 404 && (code === FOREIGN || code === 'not_found')
            ? 'absent'
            : status === 424 && code === FOREIGN
              ? 'stopped'
              : code === FOREIGN
                ? 'failed'
                : 'told';
    return { kind, message: kind === 'failed' ? `${status} ${message}`.trim() : message, retryAfter };
  }
  return { kind: 'unreachable', message: '', retryAfter: 0 };
}
