/** The client for the routes of the server extension. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IClient } from './client';
import { ResponseError, UNKNOWN_CODE, readRetryAfter, ServerError } from './requesterror';
import type * as wire from './wire';

/** Timeouts in milliseconds for the first and each further chunk of a response. */
const FIRST_BYTE = 30000;
const NEXT_BYTE = 10000;

export class HttpClient implements IClient {
  constructor(readonly settings: ServerConnection.ISettings) {}

  async complete(
    request: wire.IRequest,
    signal: AbortSignal,
    frame: (frame: wire.IFrame) => void
  ): Promise<void> {
    await this._stream<wire.IFrame>('complete', request, signal, line => {
      if (typeof line.text !== 'string') {
        throw new ResponseError('unexpected');
      }
      frame(line);
    });
  }

  alternatives(request: wire.IRequest, signal: AbortSignal): Promise<wire.IAnswer> {
    const isExpected = ({ items }: wire.IAnswer): boolean =>
      Array.isArray(items) && items.every(({ text }) => typeof text === 'string');
    return this._json('complete', 'POST', isExpected, request, signal);
  }

  fix(request: wire.IFixRequest, signal: AbortSignal): Promise<wire.IFixes> {
    return this._json<wire.IFixes>('fix', 'POST', hasList('fixes'), request, signal);
  }

  check(request: wire.ICheckRequest, signal: AbortSignal): Promise<wire.IFindings> {
    return this._json<wire.IFindings>('check', 'POST', hasList('findings'), request, signal);
  }

  rename(request: wire.IRenameRequest, signal: AbortSignal): Promise<wire.IRenameEdits> {
    return this._json<wire.IRenameEdits>('rename', 'POST', hasList('edits'), request, signal);
  }

  repeat(request: wire.IRepeatRequest, signal: AbortSignal): Promise<wire.IRepeatEdits> {
    return this._json<wire.IRepeatEdits>('repeat', 'POST', hasList('edits'), request, signal);
  }

  health(signal?: AbortSignal): Promise<wire.IHealth> {
    return this._json('health', 'GET', isHealth, undefined, signal);
  }

  async models(): Promise<wire.IModel[]> {
    const signal = AbortSignal.timeout(FIRST_BYTE);
    const isExpected: (answer: { models: wire.IModel[] }) => boolean = hasList('models');
    return (await this._json('models', 'GET', isExpected, undefined, signal)).models;
  }

  select(model: string, adaptersEnabled: boolean | null = null): Promise<wire.IHealth> {
    const body = { model, adapters_enabled: adaptersEnabled } satisfies wire.ISelect;
    return this._json('models', 'POST', isHealth, body);
  }

  async pull(
    model: string,
    mirrors: boolean,
    step: (step: wire.IProgress) => void,
    select = true
  ): Promise<void> {
    await this._stream<wire.IProgress>(
      'models/pull',
      { model, mirrors, select } satisfies wire.IPull,
      undefined,
      line => {
        if (typeof line.phase !== 'string' || line.phase === 'failed') {
          throw new ResponseError('unexpected');
        }
        step(line);
      }
    );
  }

  async remove(model: string): Promise<number> {
    const isExpected = ({ freed }: wire.IRemoved): boolean => typeof freed === 'number';
    return (await this._json('models', 'DELETE', isExpected, { model })).freed;
  }

  async stopPull(model: string): Promise<void> {
    await this._ask('models/pull', 'DELETE', { model });
  }

  /** Send feedback in order for each suggestion; `keepalive` sends it even while the page closes. */
  feedback(feedback: wire.IFeedback): void {
    const { id } = feedback;
    const sent = (this._feedback.get(id) ?? Promise.resolve())
      .then(() => this._ask('feedback', 'POST', feedback, undefined, true))
      .catch(() => undefined)
      .then(() => {
        if (this._feedback.get(id) === sent) {
          this._feedback.delete(id);
        }
      });
    this._feedback.set(id, sent);
  }

  async resetStatistics(): Promise<void> {
    await this._ask('statistics', 'DELETE');
  }

  deleteIndex(): Promise<wire.IHealth> {
    return this._json('index', 'DELETE', isHealth);
  }

  buildIndex(): Promise<wire.IHealth> {
    return this._json('index', 'POST', isHealth);
  }

  /** Read a stream up to the line with `done`; a stream without it was cut off. */
  private async _stream<T extends { done?: boolean; error?: wire.IError }>(
    path: string,
    body: unknown,
    signal = new AbortController().signal,
    take: (line: T) => void
  ): Promise<void> {
    const stop = new AbortController();
    let silent = false;
    const listen = (ms: number) =>
      setTimeout(() => {
        silent = true;
        stop.abort();
      }, ms);
    let timer = listen(FIRST_BYTE);
    let done = false;
    try {
      const either = AbortSignal.any([signal, stop.signal]);
      const response = await this._ask(path, 'POST', body, either);
      for await (const line of response.body ? parseLines<T>(response.body.getReader()) : []) {
        clearTimeout(timer);
        timer = listen(NEXT_BYTE);
        if (line.error) {
          const { status, code, message, retry_after } = line.error;
          throw new ServerError(status, code, message, (retry_after ?? 0) * 1000);
        }
        take(line);
        done ||= line.done === true;
      }
    } catch (reason) {
      throw silent ? new ResponseError('timeout') : reason;
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    if (!done) {
      throw new ResponseError('incomplete');
    }
  }

  /** Request a JSON response and validate it: a proxy or a login page may respond instead. */
  private async _json<T extends object>(
    path: string,
    method: string,
    isExpected: (answer: T) => boolean,
    body?: unknown,
    signal?: AbortSignal
  ): Promise<T> {
    const response = await this._ask(path, method, body, signal);
    const answer = parse<T>(await response.text());
    if (!isExpected(answer)) {
      throw new ResponseError('unexpected');
    }
    return answer;
  }

  private async _ask(
    path: string,
    method: string,
    body?: unknown,
    signal?: AbortSignal,
    keepalive = false
  ): Promise<Response> {
    const response = await ServerConnection.makeRequest(
      URLExt.join(this.settings.baseUrl, 'turbopilot', path),
      {
        method,
        headers: { 'Content-Type': 'application/json' },
        cache: 'no-cache',
        keepalive,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {})
      },
      this.settings
    );
    if (!response.ok) {
      const answer = (await response.json().catch(() => null)) as { error?: wire.IError } | null;
      throw new ServerError(
        response.status,
        answer?.error?.code ?? UNKNOWN_CODE,
        answer?.error?.message ?? response.statusText,
        readRetryAfter(response.headers.get('Retry-After'), Date.now())
      );
    }
    return response;
  }

  /** Pending feedback by suggestion id. */
  private readonly _feedback = new Map<string, Promise<void>>();
}

function hasList(field: string): (answer: object) => boolean {
  return answer => Array.isArray((answer as Record<string, unknown>)[field]);
}

function isHealth(answer: wire.IHealth): boolean {
  return typeof answer.ready === 'boolean' && typeof answer.phase === 'string';
}

/** Characters; the server sends no line that is nearly as long. */
const MAX_LINE_LENGTH = 1024 * 1024;

/** Parse JSON lines; ignore an incomplete last line. */
export async function* parseLines<T extends object>(
  reader: Pick<ReadableStreamDefaultReader<Uint8Array>, 'read'>
): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let held = '';
  for (;;) {
    const { done, value } = await reader.read();
    held += value ? decoder.decode(value, { stream: true }) : '';
    const lines = held.split('\n');
    held = lines.pop() ?? '';
    if (held.length > MAX_LINE_LENGTH) {
      throw new ResponseError('unexpected');
    }
    for (const line of lines) {
      if (line.trim()) {
        yield parse<T>(line);
      }
    }
    if (done) {
      return;
    }
  }
}

function parse<T extends object>(line: string): T {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) {
      return value as T;
    }
  } catch {
    // As for any other text.
  }
  throw new ResponseError('unexpected');
}
