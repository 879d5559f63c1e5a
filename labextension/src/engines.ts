/** Puts the engine to use that the person and the page have chosen. */

import type { ChosenClient } from './chosenclient';
import type { IClient } from './client';
import { chooseEngine, type Engine, type IPageFacts, type Wanted } from './engine';
import { ServerError } from './trouble';

/** Milliseconds after which what has failed is tried again; the wait doubles each time, up to a bound. */
const AGAIN = 5000;
const LONGEST_WAIT = 60_000;

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
        'The part of the extension that completes could not be loaded. It is tried again; or reload the page.'
      );
    }));
  }

  private _wanted: Wanted | null = null;
  private _failed: IFailure | null = null;
  private _engine: Engine | null = null;
  private readonly _made: Partial<Record<Engine, Promise<IClient>>> = {};
}
