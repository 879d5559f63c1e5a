/** Our server's routes, as functions. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IElsewhere } from './elsewhere';
import { parseLines } from './ndjson';
import type { ICell } from './window';

export interface IRequest {
  path: string;
  language: string;
  kernel_id: string | null;
  cells: ICell[];
  active: number;
  offset: number;
  extra: IElsewhere[];
  trigger: 'automatic' | 'invoke' | 'warm' | 'ahead';
  lines: 'auto' | 'single' | 'multi';
  eagerness: 'quiet' | 'balanced' | 'eager' | 'always' | null;
  stream: boolean;
  client: string;
  n: number;
  max_tokens: number | null;
  temperature: number;
}

export interface IFrame {
  id: string;
  text: string;
  done?: boolean;
  finish_reason?: string;
  timings?: { total_ms: number };
  error?: IError;
}

export interface IAnswer {
  id: string;
  items: { text: string; confidence: number }[];
}

export interface IError {
  code: string;
  field: string | null;
  message: string;
}

export interface IHealth {
  live: boolean;
  ready: boolean;
  phase: string;
  code: string | null;
  model: string;
  reason: string | null;
  notice: string | null;
  last_ms: number | null;
}

export interface IModel {
  name: string;
  spec: string;
  size: number | null;
  licence: string;
  use: string;
  stored: boolean;
  verified: boolean;
  selected: boolean;
  pulling: boolean;
  progress: IStep | null;
  mirror: boolean;
  counted: boolean;
  fim: string;
  checkpoint: string;
  memory?: number;
  tokens_a_second?: number;
  verdict?: string | null;
  adapters?: IAdapter[];
  tuned?: boolean;
}

/** What a model was tuned to; `ours` came with us. */
export interface IAdapter {
  name: string;
  language: string;
  ours: boolean;
}

export interface IStep {
  phase: string;
  received?: number;
  total?: number | null;
  source?: string;
  done?: boolean;
  error?: IError;
}

/** The server's answer was an error; `code` says which. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string
  ) {
    super(message);
  }
}

export class Client {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** Complete, calling `frame` as the text grows. */
  async complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void> {
    const response = await this._ask('complete', 'POST', request, signal);
    for await (const line of lines<IFrame>(response)) {
      if (line.error) {
        throw new ServerError(500, line.error.code, line.error.message);
      }
      frame(line);
    }
  }

  /** Several whole alternatives. */
  async alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer> {
    const response = await this._ask('complete', 'POST', request, signal);
    return (await response.json()) as IAnswer;
  }

  async health(): Promise<IHealth> {
    return (await (await this._ask('health', 'GET')).json()) as IHealth;
  }

  async models(): Promise<IModel[]> {
    const response = await this._ask('models', 'GET');
    return ((await response.json()) as { models: IModel[] }).models;
  }

  async select(model: string, tuned: boolean | null = null): Promise<IHealth> {
    return (await (await this._ask('models', 'POST', { model, tuned })).json()) as IHealth;
  }

  /** Fetch a model, calling `step` as it comes; the last step is returned. */
  async pull(model: string, mirrors: boolean, step: (step: IStep) => void, select = true): Promise<IStep> {
    const response = await this._ask('models/pull', 'POST', { model, mirrors, select });
    let last: IStep = { phase: 'waiting' };
    for await (const line of lines<IStep>(response)) {
      last = line;
      step(line);
    }
    return last;
  }

  /** Delete a model's file; the bytes that are free now are returned. */
  async remove(model: string): Promise<number> {
    const response = await this._ask('models', 'DELETE', { model });
    return ((await response.json()) as { freed: number }).freed;
  }

  async stopPull(model: string): Promise<void> {
    await this._ask('models/pull', 'DELETE', { model });
  }

  /** Counters only; nobody waits for it and nobody is told when it fails. */
  feedback(id: string, event: 'shown' | 'accepted' | 'dismissed', chars: number): void {
    this._ask('feedback', 'POST', { id, event, chars }).catch(() => undefined);
  }

  private async _ask(path: string, method: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const response = await ServerConnection.makeRequest(
      URLExt.join(this.settings.baseUrl, 'turbopilot', path),
      {
        method,
        headers: { 'Content-Type': 'application/json' },
        cache: 'no-cache',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {})
      },
      this.settings
    );
    if (!response.ok) {
      const found = (await response.json().catch(() => null)) as {
        error?: IError;
      } | null;
      throw new ServerError(
        response.status,
        found?.error?.code ?? 'unknown',
        found?.error?.message ?? response.statusText
      );
    }
    return response;
  }
}

async function* lines<T>(response: Response): AsyncGenerator<T> {
  if (response.body) {
    yield* parseLines<T>(response.body.getReader());
  }
}
