/** The worker's side: runs an engine on behalf of the page, one generation at a time. */

import { ServerError } from '../requesterror';
import type { Engine } from './engine/engine';
import type { IEngineRequest } from './engineinterface';
import {
  type Call,
  type FromWorker,
  type IOpened,
  type IPort,
  type Step,
  STOPPED,
  type ToWorker
} from './messages';
import type { ISource } from './modelfile';
import type { Models } from './models';

/** Milliseconds between heartbeats: the page terminates a worker that sends no messages. */
const BEAT = 5000;

/** Called with each step of a call. */
type OnStep = (step: Step) => void;

export class EngineHost {
  constructor(
    private readonly _port: IPort<ToWorker, FromWorker>,
    private readonly _models: Pick<Models, 'open' | 'fetch' | 'stored' | 'remove'>
  ) {
    _port.onmessage = ({ data }) => void this._take(data);
  }

  /** Answer a call with its result or its error, or let the page stop it. */
  private async _take(message: ToWorker): Promise<void> {
    const { call } = message;
    if (message.kind === 'cancel') {
      this._running.get(call)?.abort();
      return;
    }
    const stop = new AbortController();
    this._running.set(call, stop);
    const beat = setInterval(() => this._port.postMessage({ kind: 'alive' }), BEAT);
    const step = (step: Step): void => this._port.postMessage({ kind: 'step', call, step });
    const answer = await this._do(message, step, stop.signal).then(
      value => ({ value }),
      (reason: unknown) => ({ value: null, error: stop.signal.aborted ? CANCELLED : errorOf(reason) })
    );
    clearInterval(beat);
    this._running.delete(call);
    this._port.postMessage({ kind: 'answer', call, ...answer });
  }

  private _do(message: Call, step: OnStep, signal: AbortSignal): Promise<unknown> {
    switch (message.kind) {
      case 'open':
        return this._open(message.source, step, signal);
      case 'generate':
        return this._generate(message.ask, step, signal);
      case 'fetch':
        return this._models.fetch(message.source, step, signal);
      case 'stored':
        return this._models.stored(message.sources);
      case 'remove':
        return this._models.remove(message.source);
    }
  }

  /** Open a model after releasing the previous one, as two may not fit into memory. */
  private async _open(source: ISource, step: OnStep, signal: AbortSignal): Promise<IOpened> {
    this._engine = null;
    await this._generated;
    const engine = (this._engine = await this._models.open(source, step, signal));
    return { contextSize: engine.contextSize, vocabulary: engine.vocabulary.data };
  }

  /** Generate a text after those that were asked for before. */
  private _generate(ask: IEngineRequest, step: OnStep, signal: AbortSignal): Promise<void> {
    const generated = this._generated.then(async () => {
      signal.throwIfAborted();
      if (!this._engine) {
        throw new Error('No model is loaded.');
      }
      for await (const token of this._engine.generate(ask, signal)) {
        step(token);
      }
    });
    this._generated = generated.catch(() => undefined);
    return generated;
  }

  private readonly _running = new Map<number, AbortController>();
  private _engine: Engine | null = null;
  private _generated: Promise<void> = Promise.resolve();
}

const CANCELLED = { code: STOPPED, message: 'Stopped.' };

function errorOf(reason: unknown): { code: string; message: string } {
  const code = reason instanceof ServerError ? reason.code : 'model_failed';
  return { code, message: (reason as Error).message };
}
