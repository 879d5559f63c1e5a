/** The client of the browser engine: the model runs in a worker, everything else here. */

import { Backoff } from '../backoff';
import type { IClient, ICompletionFrame, IEngineHealth } from '../client';
import { ServerError, WITHHELD } from '../requesterror';
import type { IAnswer, IModel, IProgress, IRequest } from '../wire';
import { Catalogue, describeModel, type ILocalModel } from './catalogue';
import { Completer } from './completer';
import { NO_STORAGE, STOPPED } from './messages';
import { GONE, type ILine, WorkerConnection } from './workerconnection';

/** Milliseconds before a failed download is retried; the delay doubles up to `MAX_RETRY`. */
const FIRST_RETRY = 10_000;
const MAX_RETRY = 300_000;
/** The errors that are retried: the connection or memory may be available again. */
const RETRIED = ['download_failed', GONE];

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

/** The model in use: loading → ready or failed. A use ends when another begins or the worker ends. */
type Use =
  | { state: 'loading' | 'ready'; model: ILocalModel; completer: Promise<Completer> }
  /** without a model: the list could not be read, or the user wants none of its models */
  | { state: 'failed'; model: ILocalModel | null; error: ServerError };

/** Wrap an unexpected exception. Its message is left out: it may quote the user's code. */
function errorOf(reason: unknown): ServerError {
  if (reason instanceof ServerError) {
    return reason;
  }
  const name = reason instanceof Error ? reason.name : typeof reason;
  return new ServerError(500, 'model_failed', `The model in this page failed (${name}). Reload the page.`);
}

export class LocalClient implements IClient {
  constructor(private readonly _options: ILocalOptions) {
    this._catalogue = new Catalogue(_options.catalogue);
  }

  async complete(
    request: IRequest,
    signal: AbortSignal,
    frame: (frame: ICompletionFrame) => void
  ): Promise<void> {
    await this._answer(request, signal, completer => completer.complete(request, signal, frame));
  }

  alternatives(request: IRequest, signal: AbortSignal): Promise<Pick<IAnswer, 'items'>> {
    return this._answer(request, signal, completer => completer.alternatives(request, signal));
  }

  /** The browser engine has neither fixes nor renames. */
  fix = (): Promise<null> => Promise.resolve(null);
  check = this.fix;
  rename = this.fix;
  repeat = this.fix;

  /** It has neither statistics nor a notebook index. */
  feedback = (): void => undefined;
  resetStatistics = (): Promise<void> => Promise.resolve();
  deleteIndex = (): Promise<IEngineHealth> => this.health();
  buildIndex = this.deleteIndex;

  health(): Promise<IEngineHealth> {
    this._retry();
    const use = this._use;
    const model = this._choice ?? use?.model;
    const error = use?.state === 'failed' ? use.error : null;
    const step = use?.state === 'loading' ? this._connection?.stepOf(use.model) : null;
    return Promise.resolve({
      ready: use?.state === 'ready',
      phase: use?.state ?? 'empty',
      code: error?.code ?? null,
      model: model?.name ?? '',
      reason: error?.message ?? null,
      inPage: { size: model?.size ?? null, step: step ?? null }
    });
  }

  async models(): Promise<IModel[]> {
    const models = await this._catalogue.models();
    const stored = (await this._connect().call({ kind: 'stored', sources: models })) as boolean[];
    const used = this._choice ?? this._use?.model;
    return models.map((model, at) => ({
      ...describeModel(model, stored[at], this._connection?.stepOf(model) ?? null),
      selected: model === used,
      failed: this._isWithheld(model) ? null : (this._errors.get(model)?.message ?? null)
    }));
  }

  /** Use a model for all languages; if it cannot be loaded, the selection before it applies again. */
  async select(name: string): Promise<IEngineHealth> {
    const model = await this._catalogue.named(name);
    const before = this._choice;
    this._release(model);
    this._chosen = model;
    try {
      await this._load(model);
    } catch (reason) {
      if (this._chosen === model && before !== model) {
        this._chosen = before;
        this._use = null;
      }
      throw reason;
    }
    return this.health();
  }

  /** Download a model into the browser's storage; the model in use stays available. */
  async pull(name: string, _mirrors: boolean, step: (step: IProgress) => void, select = true): Promise<void> {
    const source = await this._catalogue.named(name);
    let isKept = true;
    try {
      await this._connect().call({ kind: 'fetch', source }, step);
    } catch (reason) {
      const { code } = errorOf(reason);
      if (code === GONE) {
        const cut = 'The download was interrupted because its worker stopped. Download the model again.';
        throw new ServerError(500, 'download_failed', cut);
      }
      if (code !== NO_STORAGE) {
        throw reason;
      }
      isKept = false;
    }
    this._release(source);
    if (select || !isKept) {
      await this.select(name); // without storage, download it for immediate use
    }
    step({ phase: 'done', done: true });
  }

  /** Stop the downloads of a model; other downloads continue. */
  async stopPull(name: string): Promise<void> {
    const model = await this._catalogue.named(name);
    if (this._use?.state === 'loading' && this._use.model === model) {
      const advice = 'Download it in the Models panel to use it.';
      await this._withhold(model, `The download of ${name} was stopped. ${advice}`);
    }
    this._connection?.cancel(model);
  }

  /** Terminate the worker to release its memory. */
  leave(): void {
    this._use = null;
    this._connection?.end(new ServerError(500, STOPPED, 'Stopped. Another engine is in use.'));
  }

  async remove(name: string): Promise<number> {
    const source = await this._catalogue.named(name);
    const opening = this._use?.state === 'loading' && this._use.model === source && this._use.completer;
    await this._withhold(source, `The model ${name} was removed. Download it again in the Models panel.`);
    this._connection?.cancel(source);
    await Promise.allSettled([opening]); // it may be writing the file
    try {
      return (await this._connect().call({ kind: 'remove', source })) as number;
    } catch (reason) {
      this._release(source);
      throw reason;
    }
  }

  /** Return the main language of the model that is used for a language; empty if it is the same or unknown. */
  async knowsBetter(language: string): Promise<string> {
    const { language: tuned, best } = await this._suited(language);
    return tuned === language || best === language ? '' : best || tuned;
  }

  /** The model that the user selected, unless they removed it or stopped its download. */
  private get _choice(): ILocalModel | null {
    return this._chosen && !this._isWithheld(this._chosen) ? this._chosen : null;
  }

  private _isWithheld(model: ILocalModel): boolean {
    return this._errors.get(model)?.code === WITHHELD;
  }

  /** Return the selected model, or the one for a language, or the general one, without withheld models. */
  private async _suited(language: string): Promise<ILocalModel> {
    if (this._choice) {
      return this._choice;
    }
    const models = await this._catalogue.models();
    const wanted = models.filter(model => !this._isWithheld(model));
    if (wanted.length === 0) {
      throw [...this._errors.values()][0];
    }
    return (
      wanted.find(model => model.language === language) ?? wanted.find(model => !model.language) ?? wanted[0]
    );
  }

  /** Answer a request with its model. */
  private async _answer<T>(
    request: IRequest,
    signal: AbortSignal,
    answer: (completer: Completer) => Promise<T>
  ): Promise<T> {
    const completer = await this._completer(request.language);
    try {
      return await answer(completer);
    } catch (reason) {
      throw signal.aborted ? reason : errorOf(reason);
    }
  }

  private async _completer(language: string): Promise<Completer> {
    if (this._use?.state === 'failed') {
      throw this._use.error; // retried after a delay, not at each keystroke
    }
    const model = await this._suited(language).catch((reason: unknown) => {
      // Several requests that waited for the same list count as one failure.
      throw this._use?.state === 'failed' ? this._use.error : this._fail(null, reason);
    });
    return this._load(model);
  }

  /** Load a model unless it is the one in use. */
  private _load(model: ILocalModel): Promise<Completer> {
    const before = this._use?.state === 'failed' ? null : this._use;
    if (before?.model === model) {
      return before.completer;
    }
    const completer = this._open(model, before?.completer, () => this._use === use);
    const use: Use = { state: 'loading', model, completer };
    this._use = use;
    return completer;
  }

  /** Open a model; `isUsed` returns whether no other one is wanted meanwhile. */
  private async _open(
    model: ILocalModel,
    before: Promise<Completer> | undefined,
    isUsed: () => boolean
  ): Promise<Completer> {
    await before?.catch(() => undefined); // the worker opens models one after the other
    try {
      if (!isUsed()) {
        throw new ServerError(500, STOPPED, 'Stopped. Another model is in use.');
      }
      const engine = await this._connect().open(model, step => isUsed() && this._options.progress?.(step));
      const completer = new Completer(engine);
      if (isUsed()) {
        this._errors.delete(model);
        this._use = { state: 'ready', model, completer: Promise.resolve(completer) };
        this._backoff.reset();
        this._options.opened?.();
      }
      return completer;
    } catch (reason) {
      throw isUsed() ? this._fail(model, reason) : reason;
    }
  }

  /** Record the error that prevents completions. */
  private _fail(model: ILocalModel | null, reason: unknown): ServerError {
    const error = errorOf(reason);
    if (model) {
      this._errors.set(model, error);
    }
    this._use = { state: 'failed', model, error };
    this._backoff.failed();
    return error;
  }

  /** After the delay, retry what failed. */
  private _retry(): void {
    const use = this._use;
    if (use?.state === 'failed' && RETRIED.includes(use.error.code) && this._backoff.isOver) {
      this._use = null;
      (use.model ? this._load(use.model) : this._completer('')).catch(() => undefined); // `_fail` records it
    }
  }

  /** Withhold a model that the user does not want: it is not downloaded again automatically. Another one may replace it. */
  private async _withhold(model: ILocalModel, why: string): Promise<void> {
    this._errors.set(model, new ServerError(500, WITHHELD, why));
    if (this._use?.model === model) {
      this._use = null;
      await this._suited('').catch((reason: unknown) => this._fail(null, reason)); // no model is left
    }
  }

  /** The user wants a model: forget why it was not used. */
  private _release(model: ILocalModel): void {
    this._errors.delete(model);
    if (this._use?.state === 'failed' && (this._use.model === model || this._use.error.code === WITHHELD)) {
      this._use = null;
    }
  }

  private _connect(): WorkerConnection {
    this._connection ??= new WorkerConnection(this._options.connect(), () => {
      this._connection = null;
      if (this._use?.state === 'ready') {
        this._use = null;
      }
    });
    return this._connection;
  }

  private readonly _catalogue: Catalogue;
  /** the selected model; null: selected by language */
  private _chosen: ILocalModel | null = null;
  /** why models were not loaded: their error, or the user removed them or stopped their download */
  private readonly _errors = new Map<ILocalModel, ServerError>();
  private _use: Use | null = null;
  private _connection: WorkerConnection | null = null;
  private readonly _backoff = new Backoff(FIRST_RETRY, MAX_RETRY);
}
