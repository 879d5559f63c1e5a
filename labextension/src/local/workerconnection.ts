/** The page's connection to a worker: calls and their steps, until the worker ends. */

import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import type { ILocalModel } from './catalogue';
import type { IEngine } from './engineinterface';
import {
  type Call,
  type FromWorker,
  type IOpened,
  type IPort,
  type Step,
  STOPPED,
  type ToWorker
} from './messages';
import { CharacterVocabulary } from './vocabulary';

/** Milliseconds without a message after which a worker counts as terminated: a browser may end it without an event. */
const SILENCE = 30_000;

/** The code of an error: the worker has ended. The next request starts another. */
export const GONE = 'worker_gone';

/** The interface of the worker that this page uses. */
export type ILine = IPort<FromWorker, ToWorker> & {
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
};

/** A pending call to the worker. */
interface ICall {
  message: Call;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  /** the last step; null: none */
  step: Step | null;
  /** Called with each step; of `generate`: return whether more is wanted. */
  take: (step: never) => unknown;
}

export class WorkerConnection {
  /** `ended` is called once the worker has ended. */
  constructor(
    private readonly _line: ILine,
    private readonly _ended: () => void
  ) {
    _line.onmessage = ({ data }) => this._take(data);
    _line.onerror = event => {
      const why = event.message || 'no reason given';
      this.end(
        this._heard === 0
          ? new ServerError(500, 'download_failed', `The model worker could not be started (${why}).`)
          : // The browser may terminate a worker to free memory.
            new ServerError(500, GONE, `The model has stopped (${why}). Restarting…`)
      );
    };
  }

  /** Open a model. Generations with the previous model fail. */
  async open(source: ILocalModel, take: (step: IProgress) => unknown): Promise<IEngine> {
    this._model.abort(new ServerError(500, STOPPED, 'Stopped. Another model is being loaded.'));
    const { signal } = (this._model = new AbortController());
    const { contextSize, vocabulary } = (await this.call({ kind: 'open', source }, take)) as IOpened;
    return {
      contextSize,
      vocabulary: new CharacterVocabulary(vocabulary),
      generate: (ask, take, stop) =>
        this.call({ kind: 'generate', ask }, take, AbortSignal.any([stop, signal]))
    };
  }

  /** Send a call to the worker; `take` is called with each step, and `signal` stops it. */
  async call(
    message: Call,
    take: ICall['take'] = () => undefined,
    signal = new AbortController().signal
  ): Promise<unknown> {
    signal.throwIfAborted();
    const id = ++this._last;
    const answer = new Promise<unknown>((resolve, reject) => {
      const step: Step | null = message.kind === 'fetch' ? { phase: 'waiting' } : null;
      this._calls.set(id, { message, resolve, reject, step, take });
    });
    const stop = (): void => this._leave(id)?.reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
    this._line.postMessage({ ...message, call: id });
    // Terminate a worker that sends no message meanwhile.
    let received = this._heard;
    const timer = setInterval(() => {
      if (received === this._heard) {
        this.end(new ServerError(500, GONE, 'The model does not respond. Restarting…'));
      }
      received = this._heard;
    }, SILENCE);
    return answer.finally(() => {
      clearInterval(timer);
      signal.removeEventListener('abort', stop); // that of a model lives longer than its calls
    });
  }

  /** Return the progress of a model's download; null: none. */
  stepOf(model: ILocalModel): IProgress | null {
    const transfer = this._transfersOf(model).find(([, { step }]) => step);
    return (transfer?.[1].step ?? null) as IProgress | null;
  }

  /** Stop downloading and opening a model. */
  cancel(model: ILocalModel): void {
    this._transfersOf(model).forEach(([call]) => this._line.postMessage({ kind: 'cancel', call }));
  }

  /** Terminate the worker; its calls fail. */
  end(error: ServerError): void {
    this._line.terminate();
    this._ended();
    this._calls.forEach(({ reject }) => reject(error));
    this._calls.clear();
    this._model.abort(error);
  }

  /** Stop a call, without waiting for the worker, and return it. */
  private _leave(id: number): ICall | undefined {
    const call = this._calls.get(id);
    if (this._calls.delete(id)) {
      this._line.postMessage({ kind: 'cancel', call: id });
    }
    return call;
  }

  private _transfersOf(model: ILocalModel): [number, ICall][] {
    return [...this._calls].filter(
      ([, { message }]) => (message.kind === 'open' || message.kind === 'fetch') && message.source === model
    );
  }

  private _take(message: FromWorker): void {
    this._heard++;
    const call = message.kind === 'alive' ? undefined : this._calls.get(message.call);
    if (message.kind === 'step' && call) {
      call.step = message.step;
      try {
        const isMoreWanted = call.take(message.step as never);
        if (call.message.kind === 'generate' && !isMoreWanted) {
          this._leave(message.call)?.resolve(null);
        }
      } catch (reason) {
        this._leave(message.call)?.reject(reason as Error);
      }
    } else if (message.kind === 'answer') {
      this._calls.delete(message.call);
      const { error, value } = message;
      if (error) {
        call?.reject(new ServerError(500, error.code, error.message));
      } else {
        call?.resolve(value);
      }
    }
  }

  /** aborted when the open model is no longer used */
  private _model = new AbortController();
  private readonly _calls = new Map<number, ICall>();
  private _last = 0;
  /** the number of messages from the worker */
  private _heard = 0;
}
