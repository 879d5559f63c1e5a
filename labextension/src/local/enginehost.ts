/** The worker's side: runs an engine on behalf of the page, one generation at a time. */

import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import type { Engine } from './engine/engine';
import type { IEngineRequest } from './engineinterface';
import { type FromWorker, type IOpened, type IPort, STOPPED, type ToWorker } from './messages';
import type { ISource } from './modelfile';
import type { Models } from './models';

/** Milliseconds between heartbeats: the page terminates a worker that sends no messages. */
const BEAT = 5000;

export class EngineHost {
  constructor(
    private readonly _port: IPort<ToWorker, FromWorker>,
    private readonly _models: Pick<Models, 'open' | 'fetch' | 'stored' | 'remove'>
  ) {
    _port.onmessage = ({ data }) => void this._take(data);
  }

  private async _take(message: ToWorker): Promise<void> {
    const beat = setInterval(() => this._port.postMessage({ kind: 'alive' }), BEAT);
    await this._do(message).finally(() => clearInterval(beat));
  }

  private async _do(message: ToWorker): Promise<void> {
    switch (message.kind) {
      case 'open':
        await this._transfer(message.call, (...how) => this._open(message.source, ...how));
        break;
      case 'generate':
        this._begin(message.id, message.ask);
        break;
      case 'stop':
        this._stops.get(message.id)?.abort();
        break;
      case 'fetch':
        await this._transfer(message.call, (...how) => this._models.fetch(message.source, ...how));
        break;
      case 'cancel':
        this._transfers.get(message.call)?.abort();
        break;
      case 'stored':
        await this._answer(message.call, this._models.stored(message.sources));
        break;
      case 'remove':
        await this._answer(message.call, this._models.remove(message.source));
    }
  }

  /** Open a model after releasing the previous one, as two may not fit into memory. */
  private async _open(
    source: ISource,
    step: (step: IProgress) => void,
    signal: AbortSignal
  ): Promise<IOpened> {
    this._engine = null;
    this._stops.forEach(stop => stop.abort());
    await this._writing;
    const engine = await this._models.open(source, step, signal);
    this._engine = engine;
    return { contextSize: engine.contextSize, vocabulary: engine.vocabulary.data };
  }

  /** Run a download: report its progress to the page, and let the page stop it. */
  private async _transfer(
    call: number,
    work: (step: (step: IProgress) => void, signal: AbortSignal) => Promise<unknown>
  ): Promise<void> {
    const stop = new AbortController();
    this._transfers.set(call, stop);
    const tell = (step: IProgress): void => this._port.postMessage({ kind: 'step', call, step });
    await this._answer(call, work(tell, stop.signal), stop.signal);
    this._transfers.delete(call);
  }

  /** Queue a generation. */
  private _begin(id: number, ask: IEngineRequest): void {
    const stop = new AbortController();
    this._stops.set(id, stop);
    this._writing = this._writing.then(() => this._write(id, ask, stop.signal));
  }

  private async _write(id: number, ask: IEngineRequest, signal: AbortSignal): Promise<void> {
    let error: string | undefined;
    try {
      signal.throwIfAborted();
      if (!this._engine) {
        throw new Error('No model is loaded.');
      }
      for await (const token of this._engine.generate(ask, signal)) {
        this._port.postMessage({ kind: 'token', id, token });
      }
    } catch (reason) {
      // The page ignores the error if it has stopped the text itself. Otherwise, the text is not complete.
      error = signal.aborted ? 'Another model is being loaded.' : (reason as Error).message;
    }
    this._stops.delete(id);
    this._port.postMessage({ kind: 'end', id, error });
  }

  /** Reply to a call with its result or its error. */
  private async _answer(call: number, work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
    const answer = await work.then(
      value => ({ value }),
      (reason: unknown) => ({ value: null, error: signal?.aborted ? CANCELLED : errorOf(reason) })
    );
    this._port.postMessage({ kind: 'answer', call, ...answer });
  }

  private readonly _transfers = new Map<number, AbortController>();
  private _engine: Engine | null = null;
  private readonly _stops = new Map<number, AbortController>();
  private _writing: Promise<void> = Promise.resolve();
}

const CANCELLED = { code: STOPPED, message: 'Stopped.' };

function errorOf(reason: unknown): { code: string; message: string } {
  const code = reason instanceof ServerError ? reason.code : 'model_failed';
  return { code, message: (reason as Error).message };
}
