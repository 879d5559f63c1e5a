/** The client of the browser engine: the model runs in a worker, everything else here. */

import type { IClient, ICompletionFrame, IEngineHealth } from '../client';
import { ServerError, WITHHELD } from '../requesterror';
import type { IAnswer, IModel, IRequest, IProgress, Phase } from '../wire';
import { type ILocalModel, readCatalogue } from './catalogue';
import { Completer } from './completer';
import { type FromWorker, type IOpened, type IPort, NO_STORAGE, STOPPED, type ToWorker } from './messages';
import { WorkerEngine } from './workerengine';

/** Milliseconds before a failed download is retried; the delay doubles up to `MAX_RETRY`. */
const FIRST_RETRY = 10_000;
const MAX_RETRY = 300_000;
/** Milliseconds without a message after which a worker counts as terminated: a browser may end it without an event. */
const SILENCE = 30_000;

/**
 * The code of an error: the worker has ended. The next request starts another; a worker that ended while it opened a
 * model is restarted after a delay.
 */
const GONE = 'worker_gone';

/** The interface of the worker that this page uses. */
export type ILine = IPort<FromWorker, ToWorker> & {
  onerror: ((event: ErrorEvent) => void) | null;
  terminate(): void;
};

export interface ILocalOptions {
  /** the URL of the list of models */
  catalogue: string;
  /** Start the worker. */
  connect(): ILine;
  /** Called with the progress of a model's download. */
  progress?(step: IProgress): void;
  /** Called once a model is loaded. */
  opened?(): void;
}

/** A model that is loading or loaded, and its completer. */
interface ILoading {
  model: ILocalModel;
  completer: Promise<Completer>;
  /** the progress of its download; null: none */
  step: IProgress | null;
}

/** A model that the worker is opening. */
interface IOpening {
  model: ILocalModel;
  call: number;
  opened: Promise<IOpened>;
}

/** A download beside the model in use. */
interface IPull {
  model: ILocalModel;
  step: IProgress;
}

/** A pending call to the worker. */
interface ICall {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  /** Called with the progress. */
  step: (step: IProgress) => void;
  pull: IPull | null;
}

/** The error that prevents completions, its time, and the delay before a retry. */
interface ILoadFailure {
  model: ILocalModel | null;
  error: ServerError;
  at: number;
  wait: number;
}

/** The worker has ended; the model is not the cause. */
class WorkerEndedError extends ServerError {}

/** Wrap an unexpected exception. Its message is left out: it may quote the user's code. */
function unexpectedError(reason: unknown): ServerError {
  const name = reason instanceof Error ? reason.name : typeof reason;
  return new ServerError(500, 'model_failed', `The model in this page failed (${name}). Reload the page.`);
}

/** The error of a stopped download. */
function stopped(): ServerError {
  return new ServerError(500, STOPPED, 'Stopped. The model was not downloaded.');
}

export class LocalClient implements IClient {
  constructor(private readonly _options: ILocalOptions) {}

  async complete(
    request: IRequest,
    signal: AbortSignal,
    frame: (frame: ICompletionFrame) => void
  ): Promise<void> {
    await this._answered(request, signal, completer => completer.complete(request, signal, frame));
  }

  alternatives(request: IRequest, signal: AbortSignal): Promise<Pick<IAnswer, 'items'>> {
    return this._answered(request, signal, completer => completer.alternatives(request, signal));
  }

  /** The browser engine has neither fixes nor renames. */
  fix = (): Promise<null> => Promise.resolve(null);
  check = this.fix;
  rename = this.fix;
  repeat = this.fix;

  /** The browser engine has no statistics. */
  feedback(): void {
    return;
  }

  resetStatistics(): Promise<void> {
    return Promise.resolve();
  }

  /** The browser engine has no notebook index. */
  deleteIndex(): Promise<IEngineHealth> {
    return this.health();
  }

  buildIndex(): Promise<IEngineHealth> {
    return this.health();
  }

  health(): Promise<IEngineHealth> {
    this._tryAgain();
    const model = this._choice ?? this._used ?? (this._loading ?? this._failure)?.model;
    return Promise.resolve({
      ready: this._phase === 'ready',
      phase: this._phase,
      code: this._failure?.error.code ?? null,
      model: model?.name ?? '',
      reason: this._failure?.error.message ?? null,
      inPage: { size: model?.size ?? null, step: this._loading?.step ?? null }
    });
  }

  async models(): Promise<IModel[]> {
    const models = await this._catalogue();
    const stored = (await this._call({ kind: 'stored', sources: models })) as boolean[];
    const pulls = [...this._calls.values()].map(({ pull }) => pull);
    const step = (model: ILocalModel) =>
      pulls.find(pull => pull?.model === model)?.step ??
      (model === this._loading?.model ? this._loading.step : null);
    const failure = this._failure ?? this._refused;
    return models.map((model, at) => ({
      name: model.name,
      spec: model.name,
      size: model.size,
      exact_size: true,
      architecture: 'llama',
      fim: 'auto',
      checkpoint: '',
      licence: model.licence,
      use: model.use,
      saved: null,
      stored: stored[at],
      verified: stored[at],
      selected: model === (this._choice ?? this._used),
      adapters: [],
      adapters_enabled: false,
      pulling: step(model) !== null,
      failed: model === failure?.model && !this._withheld.has(model) ? failure.error.message : null,
      progress: step(model),
      mirror: false
    }));
  }

  async select(name: string): Promise<IEngineHealth> {
    const chosen = await this._named(name);
    const selection = ++this._selections;
    this._withheld.delete(chosen);
    this._chosen = chosen;
    this._refused = null;
    this._forget();
    try {
      await this._load(chosen);
    } catch (reason) {
      if (selection === this._selections && chosen !== this._proven) {
        this._chosen = this._proven;
        this._refused = this._failure;
        this._forget();
      }
      throw reason;
    }
    if (selection === this._selections) {
      this._proven = chosen;
    }
    return this.health();
  }

  /** Download a model into the browser's storage; the model in use stays available. */
  async pull(name: string, _mirrors: boolean, step: (step: IProgress) => void, select = true): Promise<void> {
    const source = await this._named(name);
    const pull: IPull = { model: source, step: { phase: 'waiting' } };
    const fetching = (now: IProgress): void => step((pull.step = now));
    this._refused = null;
    const isKept = await this._call({ kind: 'fetch', source }, fetching, pull).then(
      () => true,
      (reason: unknown) => {
        if (reason instanceof ServerError && reason.code === NO_STORAGE) {
          return false;
        }
        throw reason;
      }
    );
    this._wantAgain(source);
    if (this._failure?.model === source) {
      this._forget();
    }
    if (select || !isKept) {
      await this.select(name); // without storage, download it for immediate use
    }
    step({ phase: 'done', done: true });
  }

  /** Stop the downloads of a model; other downloads continue. */
  stopPull(name: string): Promise<void> {
    const pulls = [...this._calls].filter(([, { pull }]) => pull?.model.name === name);
    for (const [call, { reject }] of pulls) {
      this._line?.postMessage({ kind: 'cancel', call });
      this._calls.delete(call);
      reject(stopped());
    }
    if (this._opening && this._loading?.model.name === name && this._loading.step) {
      this._line?.postMessage({ kind: 'cancel', call: this._opening.call });
    }
    return Promise.resolve();
  }

  /** Terminate the worker to release its memory. */
  leave(): void {
    this._end(new WorkerEndedError(500, STOPPED, 'Stopped. Another engine is in use.'));
  }

  async remove(name: string): Promise<number> {
    const source = await this._named(name);
    const opening = this._opening?.model === source ? this._opening : null;
    this._withhold(source, `The model ${name} was removed. Download it again in the Models panel.`);
    if (opening) {
      this._line?.postMessage({ kind: 'cancel', call: opening.call });
      await opening.opened.catch(() => undefined); // it may be writing the file
    }
    return this._call({ kind: 'remove', source }).then(
      freed => freed as number,
      (reason: unknown) => {
        this._wantAgain(source);
        throw reason;
      }
    );
  }

  /** Return the main language of the model that is used for a language; empty if it is the same or unknown. */
  async knowsBetter(language: string): Promise<string> {
    const { language: tuned, best } = await this._suited(language);
    return tuned === language || best === language ? '' : best || tuned;
  }

  private _catalogue(): Promise<ILocalModel[]> {
    this._listed ??= readCatalogue(this._options.catalogue).catch((reason: unknown) => {
      this._listed = null; // retry with the next request
      throw reason;
    });
    return this._listed;
  }

  private async _named(name: string): Promise<ILocalModel> {
    const model = (await this._catalogue()).find(one => one.name === name);
    if (!model) {
      throw new ServerError(404, 'no_model', `This site has no model called ${name}.`);
    }
    return model;
  }

  /** The model that the user selected, unless they removed it or stopped its download. */
  private get _choice(): ILocalModel | null {
    return this._chosen && !this._withheld.has(this._chosen) ? this._chosen : null;
  }

  /** Return the selected model, or the one for a language, or the general one, without withheld models. */
  private async _suited(language: string): Promise<ILocalModel> {
    if (this._choice) {
      return this._choice;
    }
    const models = await this._catalogue();
    const suited = (among: ILocalModel[]) =>
      among.find(model => model.language === language) ?? among.find(model => !model.language) ?? among[0];
    const wanted = models.filter(model => !this._withheld.has(model));
    const why = this._withheld.get(suited(models));
    if (why && wanted.length === 0) {
      throw why;
    }
    return suited(wanted);
  }

  /** Answer a request with its model. */
  private async _answered<T>(
    request: IRequest,
    signal: AbortSignal,
    answer: (completer: Completer) => Promise<T>
  ): Promise<T> {
    const completer = await this._completer(request.language);
    try {
      return await this._watched(answer(completer));
    } catch (reason) {
      throw reason instanceof ServerError || signal.aborted ? reason : unexpectedError(reason);
    }
  }

  /** Wait for the worker; terminate it if it sends no message meanwhile. */
  private async _watched<T>(work: Promise<T>): Promise<T> {
    let received = this._heard;
    const watch = setInterval(() => {
      if (received === this._heard) {
        this._end(new WorkerEndedError(500, GONE, 'The model does not respond. Restarting…'));
      }
      received = this._heard;
    }, SILENCE);
    try {
      return await work;
    } finally {
      clearInterval(watch);
    }
  }

  private async _completer(language: string): Promise<Completer> {
    if (this._failure) {
      throw this._failure.error; // retried after a delay, not at each keystroke
    }
    const model = await this._suited(language).catch((reason: unknown) => {
      // Several requests that waited for the same list count as one failure.
      throw this._failure?.error ?? this._failed(null, reason);
    });
    this._used = model;
    return this._load(model);
  }

  /** Withhold a model that the user removed: it is not downloaded again automatically. Another one may replace it. */
  private _withhold(model: ILocalModel, why: string): void {
    const error = new ServerError(500, WITHHELD, why);
    this._withheld.set(model, error);
    if (model === this._used) {
      this._used = null;
    }
    if (model === (this._loading ?? this._failure)?.model) {
      this._forget();
      this._suited('').catch(() => this._note(model, error)); // no model is left
    }
  }

  /** Release a withheld model. */
  private _wantAgain(model: ILocalModel): void {
    this._withheld.delete(model);
    if (this._failure?.error.code === WITHHELD) {
      this._forget();
    }
  }

  /** Load a model unless it is the one that is loaded. */
  private _load(model: ILocalModel): Promise<Completer> {
    if (this._loading?.model !== model) {
      const before = this._last;
      const completer = (async () => {
        // The worker opens models one after the other.
        await before?.catch((reason: unknown) => {
          if (reason instanceof WorkerEndedError) {
            throw reason;
          }
        });
        return this._open(model);
      })().catch((reason: unknown) => {
        throw this._failed(model, reason);
      });
      this._last = completer;
      this._loading = { model, completer, step: null };
    }
    return this._loading.completer;
  }

  private async _open(model: ILocalModel): Promise<Completer> {
    this._phase = 'loading';
    const line = this._connected();
    const step = (now: IProgress): void => {
      if (this._loading?.model === model) {
        this._loading.step = now;
        this._options.progress?.(now);
      }
    };
    const opened = this._call({ kind: 'open', source: model }, step) as Promise<IOpened>;
    const opening = (this._opening = { model, call: this._lastCall, opened });
    const reported = await opened
      .catch((reason: unknown) => {
        throw reason instanceof ServerError && reason.code === STOPPED
          ? this._givenUp(model, reason)
          : reason;
      })
      .finally(() => {
        if (this._opening === opening) {
          this._opening = null;
        }
      });
    const engine = (this._engine = new WorkerEngine(line, reported));
    if (this._loading?.model === model) {
      this._loading.step = null;
      this._phase = 'ready';
      this._failure = null;
      this._wait = FIRST_RETRY;
      this._options.opened?.();
    }
    return new Completer(engine);
  }

  /** Return the error for a model whose opening was stopped, and withhold it unless the worker has ended. */
  private _givenUp(model: ILocalModel, reason: ServerError): ServerError {
    if (reason instanceof WorkerEndedError) {
      return reason;
    }
    if (!this._withheld.has(model)) {
      this._withhold(
        model,
        `The download of ${model.name} was stopped. Download it in the Models panel to use it.`
      );
    }
    return stopped();
  }

  /** Record the error that prevents completions. */
  private _failed(model: ILocalModel | null, reason: unknown): ServerError {
    const error = reason instanceof ServerError ? reason : unexpectedError(reason);
    const isAnother = this._loading !== null && this._loading.model !== model;
    const isWanted = !model || !(isAnother || this._withheld.has(model));
    if (isWanted && !(error instanceof WorkerEndedError)) {
      this._note(model, error);
    }
    return error;
  }

  private _note(model: ILocalModel | null, error: ServerError): void {
    this._loading = null;
    this._phase = 'failed';
    this._failure = { model, error, at: performance.now(), wait: this._wait };
    this._wait = Math.min(MAX_RETRY, this._wait * 2);
  }

  /**
   * After the delay, retry a model that could not be downloaded or that ended the worker: the connection or memory may be
   * available again.
   */
  private _tryAgain(): void {
    if (
      !this._failure ||
      !['download_failed', GONE].includes(this._failure.error.code) ||
      performance.now() - this._failure.at < this._failure.wait
    ) {
      return;
    }
    const { model } = this._failure;
    this._failure = null;
    this._phase = 'loading';
    (model ? this._load(model) : this._completer('')).catch(() => undefined); // `_failed` records it
  }

  private _forget(): void {
    this._loading = null;
    this._failure = null;
    this._phase = 'empty';
  }

  private _connected(): ILine {
    if (this._line) {
      return this._line;
    }
    const line = (this._line = this._options.connect());
    const before = this._heard;
    line.onmessage = ({ data }) => this._take(data);
    line.onerror = event => {
      const why = event.message || 'no reason given';
      this._end(
        this._heard === before
          ? new ServerError(500, 'download_failed', `The model worker could not be started (${why}).`)
          : // The browser may terminate a worker to free memory.
            new WorkerEndedError(500, GONE, `The model has stopped (${why}). Restarting…`)
      );
    };
    return line;
  }

  private _take(message: FromWorker): void {
    this._heard++;
    switch (message.kind) {
      case 'alive':
        break;
      case 'step':
        this._calls.get(message.call)?.step(message.step);
        break;
      case 'answer':
        this._answer(message);
        break;
      default:
        this._engine?.take(message);
    }
  }

  private _answer({ call, value, error }: FromWorker & { kind: 'answer' }): void {
    const asked = this._calls.get(call);
    this._calls.delete(call);
    if (error) {
      asked?.reject(new ServerError(500, error.code, error.message));
    } else {
      asked?.resolve(value);
    }
  }

  /** Send a call to the worker; `step` is called with the progress. */
  private _call(
    message:
      { kind: 'stored'; sources: ILocalModel[] } | { kind: 'remove' | 'fetch' | 'open'; source: ILocalModel },
    step: (step: IProgress) => void = () => undefined,
    pull: IPull | null = null
  ): Promise<unknown> {
    const call = ++this._lastCall;
    const line = this._connected();
    return this._watched(
      new Promise((resolve, reject) => {
        this._calls.set(call, { resolve, reject, step, pull });
        line.postMessage({ ...message, call });
      })
    );
  }

  private _end(error: ServerError): void {
    this._line?.terminate();
    this._line = null;
    this._last = null;
    const opening = this._opening;
    const isWanted = opening !== null && opening.model === this._loading?.model;
    this._opening = null;
    this._forget();
    if (isWanted && error.code === GONE) {
      this._note(opening.model, error); // the model may crash each worker that opens it
    }
    this._engine?.fail(error);
    this._engine = null;
    // The model is restarted, a download is not.
    const cut = 'The download was interrupted because its worker stopped. Download the model again.';
    const ofDownload = error.code === GONE ? new ServerError(500, 'download_failed', cut) : error;
    this._calls.forEach(({ pull, reject }) => reject(pull ? ofDownload : error));
    this._calls.clear();
  }

  private _listed: Promise<ILocalModel[]> | null = null;
  /** the selected model; null: selected by language */
  private _chosen: ILocalModel | null = null;
  /** the last selected model that could be opened: the fallback if another one cannot */
  private _proven: ILocalModel | null = null;
  private _selections = 0;
  /** why the last selected model could not be opened */
  private _refused: ILoadFailure | null = null;
  /** the models that the user removed or stopped, and their errors */
  private readonly _withheld = new Map<ILocalModel, ServerError>();
  /** the model of the last request */
  private _used: ILocalModel | null = null;
  private _loading: ILoading | null = null;
  /** the last model that the worker opens */
  private _last: Promise<Completer> | null = null;
  private _opening: IOpening | null = null;
  private _line: ILine | null = null;
  private _engine: WorkerEngine | null = null;
  private _phase: Phase = 'empty';
  private _failure: ILoadFailure | null = null;
  private _wait = FIRST_RETRY;
  private readonly _calls = new Map<number, ICall>();
  private _lastCall = 0;
  /** the number of messages from the worker */
  private _heard = 0;
}
