/** The page's proxy of the engine in the worker. */

import { ServerError } from '../requesterror';
import type { IEngineRequest, IEngine, IToken, IVocabulary } from './engineinterface';
import type { FromWorker, IOpened, IPort, ToWorker } from './messages';
import { CharacterVocabulary } from './vocabulary';

/** A generation in progress: the tokens received, and the callback of the waiting consumer. */
interface IWritten {
  tokens: IToken[];
  ended: boolean;
  error: Error | null;
  wake: () => void;
}

export class WorkerEngine implements IEngine {
  readonly name: string;
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;

  constructor(
    private readonly _port: Pick<IPort<FromWorker, ToWorker>, 'postMessage'>,
    { name, contextSize, vocabulary }: IOpened
  ) {
    this.name = name;
    this.contextSize = contextSize;
    this.vocabulary = new CharacterVocabulary(vocabulary);
  }

  async *generate({ usage, ...ask }: IEngineRequest, signal: AbortSignal): AsyncGenerator<IToken> {
    signal.throwIfAborted();
    const id = ++this._last;
    const written: IWritten = { tokens: [], ended: false, error: null, wake: () => undefined };
    const stop = (): void => written.wake();
    const news = (): Promise<void> => new Promise(resolve => (written.wake = resolve));
    this._texts.set(id, { written, usage });
    signal.addEventListener('abort', stop);
    this._port.postMessage({ kind: 'generate', id, ask });
    try {
      for (;;) {
        signal.throwIfAborted();
        if (written.error) {
          throw written.error;
        }
        const token = written.tokens.shift();
        if (token) {
          yield token;
        } else if (written.ended) {
          return;
        } else {
          await news();
        }
      }
    } finally {
      if (!written.ended) {
        this._port.postMessage({ kind: 'stop', id });
      }
      // A consumer that stops early waits for the usage; an aborted one does not.
      while (!written.ended && !signal.aborted) {
        await news();
      }
      signal.removeEventListener('abort', stop);
      this._texts.delete(id);
    }
  }

  /** Handle a message about a generation; drop it if the generation has been abandoned. */
  take(message: FromWorker): void {
    if (message.kind !== 'token' && message.kind !== 'end') {
      return;
    }
    const text = this._texts.get(message.id);
    if (!text) {
      return;
    }
    const { written, usage } = text;
    if (message.kind === 'token') {
      written.tokens.push(message.token);
    } else {
      Object.assign(usage, message.usage);
      written.ended = true;
      const { error } = message;
      written.error = error === undefined ? null : new ServerError(500, 'model_failed', error);
    }
    written.wake();
  }

  /** The worker has ended: fail all generations. */
  fail(error: Error): void {
    for (const { written } of this._texts.values()) {
      written.ended = true;
      written.error = error;
      written.wake();
    }
  }

  private readonly _texts = new Map<number, { written: IWritten; usage: IEngineRequest['usage'] }>();
  private _last = 0;
}
