/** The page's connection to a worker: calls and their progress, until the worker ends. */

import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import type { ILocalModel } from './catalogue';
import { type FromWorker, type IOpened, type IPort, STOPPED, type ToWorker } from './messages';
import { WorkerEngine } from './workerengine';

/** Milliseconds without a message after which a worker counts as terminated: a browser may end it without an event. */
const SILENCE = 30_000;

/** The code of an error: the worker has ended. The next request starts another. */
export const GONE = 'worker_gone';

/** The interface of the worker that this page uses. */
export type ILine = IPort<FromWorker, ToWorker> & {
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
};

type Message =
  { kind: 'stored'; sources: ILocalModel[] } | { kind: 'remove' | 'fetch' | 'open'; source: ILocalModel };

/** A pending call to the worker. */
interface ICall {
  message: Message;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  /** the progress of its download; null: none */
  step: IProgress | null;
  /** Called with the progress. */
  progress: (step: IProgress) => void;
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

  /** Open a model. Generations with the previous model fail: the worker stops them. */
  async open(source: ILocalModel, progress: (step: IProgress) => void): Promise<WorkerEngine> {
    this._engine?.fail(new ServerError(500, STOPPED, 'Stopped. Another model is being loaded.'));
    const opened = (await this.call({ kind: 'open', source }, progress)) as IOpened;
    return (this._engine = new WorkerEngine(this._line, opened));
  }

  /** Send a call to the worker; `progress` is called with the progress of its download. */
  call(message: Message, progress: (step: IProgress) => void = () => undefined): Promise<unknown> {
    const id = ++this._last;
    const step: IProgress | null = message.kind === 'fetch' ? { phase: 'waiting' } : null;
    const answer = new Promise<unknown>((resolve, reject) =>
      this._calls.set(id, { message, resolve, reject, step, progress })
    );
    this._line.postMessage({ ...message, call: id });
    return this.watch(answer);
  }

  /** Return the progress of a model's download; null: none. */
  stepOf(model: ILocalModel): IProgress | null {
    return this._transfersOf(model).find(([, { step }]) => step)?.[1].step ?? null;
  }

  /** Stop downloading and opening a model. */
  cancel(model: ILocalModel): void {
    for (const [call] of this._transfersOf(model)) {
      this._line.postMessage({ kind: 'cancel', call });
    }
  }

  /** Wait for the worker; terminate it if it sends no message meanwhile. */
  async watch<T>(work: Promise<T>): Promise<T> {
    let received = this._heard;
    const timer = setInterval(() => {
      if (received === this._heard) {
        this.end(new ServerError(500, GONE, 'The model does not respond. Restarting…'));
      }
      received = this._heard;
    }, SILENCE);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  /** Terminate the worker; its calls and generations fail. */
  end(error: ServerError): void {
    this._line.terminate();
    this._ended();
    this._engine?.fail(error);
    this._calls.forEach(({ reject }) => reject(error));
    this._calls.clear();
  }

  private _transfersOf(model: ILocalModel): [number, ICall][] {
    return [...this._calls].filter(
      ([, { message }]) => (message.kind === 'open' || message.kind === 'fetch') && message.source === model
    );
  }

  private _take(message: FromWorker): void {
    this._heard++;
    const call = 'call' in message ? this._calls.get(message.call) : undefined;
    switch (message.kind) {
      case 'alive':
        break;
      case 'step':
        if (call) {
          call.step = message.step;
          call.progress(message.step);
        }
        break;
      case 'answer':
        this._calls.delete(message.call);
        if (message.error) {
          call?.reject(new ServerError(500, message.error.code, message.error.message));
        } else {
          call?.resolve(message.value);
        }
        break;
      default:
        this._engine?.take(message);
    }
  }

  private _engine: WorkerEngine | null = null;
  private readonly _calls = new Map<number, ICall>();
  private _last = 0;
  /** the number of messages from the worker */
  private _heard = 0;
}
