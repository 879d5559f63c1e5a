/** Answers requests with a model in the page, in the same frames as the server. */

import type { ICompletionFrame } from '../client';
import type { IAnswer, IRequest, ISuggestion } from '../wire';
import { Composer, type IProgress } from './answer';
import type { IEngine } from './engineinterface';
import { prefixOf, suffixOf } from './notebook';

/** The fields of an answer that a page needs. */
type IOwnAnswer = Omit<IAnswer, 'model' | 'timings'>;

/** A request that is being answered. */
interface ICurrent {
  client: string;
  isAwaited: boolean;
  /** aborted with the finish reason, which is one of the server's */
  stop: AbortController;
}

/** The worker generates for one request after the other. */
export class Completer {
  constructor(private readonly _engine: IEngine) {}

  /** Complete, calling `frame` as the text grows: each is a prefix of the next, the last is `done`. */
  async complete(
    request: IRequest,
    signal: AbortSignal,
    frame: (frame: ICompletionFrame) => void
  ): Promise<void> {
    const asked = performance.now();
    const { items, finish_reason, ...reported } = await this._answer(request, signal, frame);
    const { text, confidence, finish_reason: reason } = items.at(0) ?? NOTHING;
    const timings = { total_ms: performance.now() - asked };
    frame({ ...reported, text, confidence, done: true, finish_reason: finish_reason ?? reason, timings });
  }

  /** Several whole alternatives. */
  alternatives(request: IRequest, signal: AbortSignal): Promise<IOwnAnswer> {
    return this._answer(request, signal, () => undefined);
  }

  private async _answer(
    request: IRequest,
    signal: AbortSignal,
    frame: (frame: ICompletionFrame) => void
  ): Promise<IOwnAnswer> {
    const id = `page-${++this._count}`;
    const progress: IProgress = { text: '' };
    const own = this._enter(request);
    const { signal: replaced } = own.stop;
    const either = AbortSignal.any([signal, replaced]);
    try {
      either.throwIfAborted();
      const composer = new Composer(request, this._engine);
      const draft = this._draft(request, progress);
      const items = await composer.write(draft, progress, either, ({ text, confidence }) => {
        either.throwIfAborted();
        frame({ id, text, confidence });
      });
      either.throwIfAborted();
      return { id, items, hidden_reason: items.length === 0 ? progress.hiddenReason : undefined };
    } catch (reason) {
      if (!replaced.aborted || signal.aborted) {
        throw reason;
      }
      return { id, items: [], finish_reason: replaced.reason as string };
    } finally {
      this._current.delete(own);
    }
  }

  /** Cancel the requests that a new one replaces. Prefetch requests yield to all others. */
  private _enter({ client, trigger }: IRequest): ICurrent {
    const isAwaited = trigger === 'automatic' || trigger === 'invoke';
    const own: ICurrent = { client, isAwaited, stop: new AbortController() };
    for (const other of this._current) {
      if (!isAwaited && other.isAwaited) {
        own.stop.abort('yielded');
      } else if (isAwaited && !other.isAwaited) {
        other.stop.abort('yielded');
      } else if (client && other.client === client) {
        other.stop.abort('superseded');
      }
    }
    this._current.add(own);
    return own;
  }

  /** Return the rest of the previous suggestion if the user has typed along. */
  private _draft(request: IRequest, progress: IProgress): string {
    const [prefix, suffix] = [prefixOf(request), suffixOf(request)];
    const earlier = this._earlier;
    this._earlier = { prefix, suffix, progress };
    const written = earlier?.suffix === suffix ? earlier.prefix + earlier.progress.text : '';
    return written.startsWith(prefix) ? written.slice(prefix.length) : '';
  }

  private readonly _current = new Set<ICurrent>();
  private _count = 0;
  /** the previous suggestion: a draft while the user types along */
  private _earlier: { prefix: string; suffix: string; progress: IProgress } | undefined;
}

const NOTHING: ISuggestion = { text: '', confidence: 0, finish_reason: 'stop' };
