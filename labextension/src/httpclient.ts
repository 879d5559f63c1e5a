/** The client for the routes of the server extension. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IClient, IFixClient } from './client';
import { ResponseError, UNKNOWN_CODE, readRetryAfter, ServerError } from './requesterror';
import type {
  IAnswer,
  IError,
  IFeedback,
  IFixes,
  IFixRequest,
  IFrame,
  IHealth,
  IModel,
  IPull,
  IRemoved,
  IRenameEdits,
  IRenameRequest,
  IRepeatEdits,
  IRepeatRequest,
  IRequest,
  ISelect,
  IStep
} from './wire';

/** Timeouts in milliseconds for the first and each further chunk of a response. */
const FIRST_BYTE = 30000;
const NEXT_BYTE = 10000;

export class HttpClient implements IClient, IFixClient {
  readonly inPage = false;

  constructor(readonly settings: ServerConnection.ISettings) {}

  async complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void> {
    await this._stream<IFrame>('complete', request, signal, line => {
      if (typeof line.text !== 'string') {
        throw new ResponseError('unexpected');
      }
      frame(line);
    });
  }

  async alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer> {
    return whole(
      await this._ask('complete', 'POST', request, signal),
      (answer: IAnswer) =>
        Array.isArray(answer.items) && answer.items.every(({ text }) => typeof text === 'string')
    );
  }

  async fix(request: IFixRequest, signal: AbortSignal): Promise<IFixes> {
    return whole(await this._ask('fix', 'POST', request, signal), (answer: IFixes) =>
      Array.isArray(answer.fixes)
    );
  }

  async rename(request: IRenameRequest, signal: AbortSignal): Promise<IRenameEdits> {
    return whole(await this._ask('rename', 'POST', request, signal), (answer: IRenameEdits) =>
      Array.isArray(answer.edits)
    );
  }

  async repeat(request: IRepeatRequest, signal: AbortSignal): Promise<IRepeatEdits> {
    return whole(await this._ask('repeat', 'POST', request, signal), (answer: IRepeatEdits) =>
      Array.isArray(answer.edits)
    );
  }

  async health(signal?: AbortSignal): Promise<IHealth> {
    return whole(await this._ask('health', 'GET', undefined, signal), isHealth);
  }

  async models(): Promise<IModel[]> {
    const signal = AbortSignal.timeout(FIRST_BYTE);
    const listed = await whole(
      await this._ask('models', 'GET', undefined, signal),
      (answer: { models: IModel[] }) => Array.isArray(answer.models)
    );
    return listed.models;
  }

  async select(model: string, adaptersEnabled: boolean | null = null): Promise<IHealth> {
    return whole(
      await this._ask('models', 'POST', { model, adapters_enabled: adaptersEnabled } satisfies ISelect),
      isHealth
    );
  }

  async pull(model: string, mirrors: boolean, step: (step: IStep) => void, select = true): Promise<void> {
    await this._stream<IStep>('models/pull', { model, mirrors, select } satisfies IPull, undefined, line => {
      if (typeof line.phase !== 'string' || line.phase === 'failed') {
        throw new ResponseError('unexpected');
      }
      step(line);
    });
  }

  async remove(model: string): Promise<number> {
    const removed = await whole(
      await this._ask('models', 'DELETE', { model }),
      (answer: IRemoved) => typeof answer.freed === 'number'
    );
    return removed.freed;
  }

  async stopPull(model: string): Promise<void> {
    await this._ask('models/pull', 'DELETE', { model });
  }

  /** Send feedback in order for each suggestion; `keepalive` sends it even while the page closes. */
  feedback(feedback: IFeedback): void {
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

  async deleteIndex(): Promise<IHealth> {
    return whole(await this._ask('index', 'DELETE'), isHealth);
  }

  async buildIndex(): Promise<IHealth> {
    return whole(await this._ask('index', 'POST'), isHealth);
  }

  /** Read a stream up to the line with `done`; a stream without it was cut off. */
  private async _stream<T extends { done?: boolean; error?: IError }>(
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
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
      const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
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
      const answer = (await response.json().catch(() => null)) as { error?: IError } | null;
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

/** Parse a JSON response and validate it: a proxy or a login page may respond instead. */
async function whole<T>(response: Response, ours: (answer: T) => boolean): Promise<T> {
  const answer = (await response.json().catch((reason: unknown) => {
    throw reason instanceof SyntaxError ? new ResponseError('unexpected') : reason;
  })) as T | null;
  if (typeof answer !== 'object' || answer === null || !ours(answer)) {
    throw new ResponseError('unexpected');
  }
  return answer;
}

function isHealth(answer: IHealth): boolean {
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
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ResponseError('unexpected');
  }
  if (typeof value !== 'object' || value === null) {
    throw new ResponseError('unexpected');
  }
  return value as T;
}
