/** Which engine completes, the Jupyter server’s or one in this page, and the client that passes requests on to it. */

import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IClient, IEngineHealth } from './client';
import type { Wanted } from './settings';
import { AnswerError, ServerError } from './trouble';
import type { IAnswer, IFeedback, IFrame, IHealth, IModel, IRequest, IStep } from './wire';

/** Milliseconds after which what has failed is tried again; the wait doubles each time, up to a bound. */
const AGAIN = 5000;
const LONGEST_WAIT = 60_000;
/** The option that our server extension puts into a page's configuration. */
const MARK = 'jupyterTurbopilot';
/** Milliseconds after which the request counts as failed: a connection may hang without an error. */
const LONGEST = 10_000;

/** Where completions are computed. */
export type Engine = 'server' | 'browser';

/** What a page says of itself. */
export interface IPageFacts {
  /** Whether the server that made this page has put our mark into its configuration. */
  readonly marked: boolean;
  /** Ask whether a Jupyter server answers at all. */
  hasServer(): Promise<boolean>;
}

/**
 * Choose once, at start. A Jupyter server without our extension is not replaced by a smaller model in silence:
 * there the user learns what is missing, and can choose the browser.
 */
export async function chooseEngine(wanted: Wanted, page: IPageFacts): Promise<Engine> {
  if (wanted !== 'browser' && (page.marked || (await page.hasServer()))) {
    return 'server';
  }
  if (wanted === 'server') {
    throw new AnswerError('serverless');
  }
  return 'browser';
}

export function pageFacts(settings: ServerConnection.ISettings): IPageFacts {
  return {
    marked: PageConfig.getOption(MARK) === 'server',
    hasServer: () => hasServer(settings)
  };
}

/**
 * Whether a Jupyter server answers; a static site has nothing at this address, or a page of its own. What fails there
 * (5xx), or stands before it, is no static site.
 */
async function hasServer(settings: ServerConnection.ISettings): Promise<boolean> {
  const signal = AbortSignal.timeout(LONGEST);
  try {
    const address = URLExt.join(settings.baseUrl, 'api');
    const response = await ServerConnection.makeRequest(address, { cache: 'no-cache', signal }, settings);
    if (response.status === 401 || response.status === 403 || response.status >= 500) {
      return true;
    }
    const answer = response.ok ? ((await response.json()) as { version?: unknown } | null) : null;
    return typeof answer?.version === 'string';
  } catch {
    if (signal.aborted) {
      throw new AnswerError('silent'); // neither is known: it is asked again later
    }
    return false;
  }
}

export class ChosenClient implements IClient {
  /** Who asks before it is known which client answers waits for that. */
  constructor() {
    this._client = new Promise(resolve => (this._resolve = resolve));
  }

  /** Use a client from now on. */
  use(client: IClient): void {
    this.inPage = client.inPage;
    this._resolve(client);
    this._client = Promise.resolve(client);
  }

  inPage = false;

  async complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void> {
    return (await this._client).complete(request, signal, frame);
  }

  async alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer> {
    return (await this._client).alternatives(request, signal);
  }

  async health(signal?: AbortSignal): Promise<IEngineHealth> {
    return (await this._client).health(signal);
  }

  feedback(feedback: IFeedback): void {
    void this._client.then(client => client.feedback(feedback));
  }

  async forget(): Promise<void> {
    return (await this._client).forget();
  }

  async models(): Promise<IModel[]> {
    return (await this._client).models();
  }

  async select(model: string, tuned?: boolean | null): Promise<IHealth> {
    return (await this._client).select(model, tuned);
  }

  async pull(model: string, mirrors: boolean, step: (step: IStep) => void, select?: boolean): Promise<void> {
    return (await this._client).pull(model, mirrors, step, select);
  }

  async stopPull(model: string): Promise<void> {
    return (await this._client).stopPull(model);
  }

  async remove(model: string): Promise<number> {
    return (await this._client).remove(model);
  }

  private _client: Promise<IClient>;
  private _resolve: (client: IClient) => void = () => undefined;
}

/** What was wanted and could not be had. */
interface IFailure {
  wanted: Wanted;
  reason: unknown;
  at: number;
  wait: number;
}

export class Engines {
  /** `makers` make the client of an engine; none is made before it is needed. */
  constructor(
    private readonly _client: ChosenClient,
    private readonly _page: IPageFacts,
    private readonly _makers: Readonly<Record<Engine, () => Promise<IClient>>>
  ) {}

  /** Use what is wanted; return whether that is another engine than before, or none could be had before. */
  async use(wanted: Wanted): Promise<boolean> {
    if (wanted === this._wanted) {
      return false;
    }
    const before = this._failed;
    this._wanted = wanted;
    this._failed = null;
    try {
      const engine = await chooseEngine(wanted, this._page);
      const client = await this._make(engine);
      if (wanted !== this._wanted) {
        return false; // somebody wants something else by now
      }
      if (engine === this._engine) {
        return before !== null;
      }
      const left = this._engine && this._made[this._engine];
      this._engine = engine;
      this._client.use(client);
      (await left)?.leave?.();
      return true;
    } catch (reason) {
      if (wanted !== this._wanted) {
        return false;
      }
      this._wanted = null;
      const wait = before?.wanted === wanted ? Math.min(LONGEST_WAIT, 2 * before.wait) : AGAIN;
      this._failed = { wanted, reason, at: performance.now(), wait };
      throw reason;
    }
  }

  /** Try again what has failed, if anything has; soon after that it has failed still. */
  async retry(): Promise<void> {
    if (!this._failed) {
      return;
    }
    const { wanted, reason, at, wait } = this._failed;
    if (performance.now() - at < wait) {
      throw reason;
    }
    await this.use(wanted);
  }

  private _make(engine: Engine): Promise<IClient> {
    return (this._made[engine] ??= this._makers[engine]().catch(() => {
      this._made[engine] = undefined;
      throw new ServerError(
        500,
        'not_loaded',
        'The completion module of the extension could not be loaded. Retrying… If this persists, reload the page.'
      );
    }));
  }

  private _wanted: Wanted | null = null;
  private _failed: IFailure | null = null;
  private _engine: Engine | null = null;
  private readonly _made: Partial<Record<Engine, Promise<IClient>>> = {};
}
