/** The page's proxy of the engine in the worker. */

import type { IEngineRequest, IEngine, IToken, IVocabulary } from './engineinterface';
import type { IOpened } from './messages';
import { CharacterVocabulary } from './vocabulary';

export class WorkerEngine implements IEngine {
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;

  /** `_ask` has the worker generate a text, and is called with each token; the signal stops it. */
  constructor(
    { contextSize, vocabulary }: IOpened,
    private readonly _ask: (
      ask: IEngineRequest,
      take: (token: IToken) => void,
      stop: AbortSignal
    ) => Promise<unknown>
  ) {
    this.contextSize = contextSize;
    this.vocabulary = new CharacterVocabulary(vocabulary);
  }

  async *generate(ask: IEngineRequest, signal: AbortSignal): AsyncGenerator<IToken> {
    signal.throwIfAborted();
    const tokens: IToken[] = [];
    const stop = new AbortController();
    let isOver = false;
    let wake = (): void => undefined;
    const take = (token: IToken): void => {
      tokens.push(token);
      wake();
    };
    const answer = this._ask(ask, take, stop.signal).finally(() => {
      isOver = true;
      wake();
    });
    answer.catch(() => undefined); // the reader may have left
    signal.addEventListener('abort', () => wake(), { signal: stop.signal });
    try {
      for (;;) {
        signal.throwIfAborted();
        const token = tokens.shift();
        if (token) {
          yield token;
        } else if (isOver) {
          await answer;
          return;
        } else {
          await new Promise<void>(resolve => (wake = resolve));
        }
      }
    } finally {
      stop.abort();
    }
  }
}
