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

/** The number of the last generation: the worker of a page serves all its engines. */
let last = 0;

export class WorkerEngine implements IEngine {
  readonly contextSize: number;
  readonly vocabulary: IVocabulary;

  constructor(
    private readonly _port: Pick<IPort<FromWorker, ToWorker>, 'postMessage'>,
    { contextSize, vocabulary }: IOpened
  ) {
    this.contextSize = contextSize;
    this.vocabulary = new CharacterVocabulary(vocabulary);
  }

  async *generate(ask: IEngineRequest, signal: AbortSignal): AsyncGenerator<IToken> {
    signal.throwIfAborted();
    if (this._error) {
      throw this._error;
    }
    const id = ++last;
    const written: IWritten = { tokens: [], ended: false, error: null, wake: () => undefined };
    const stop = (): void => written.wake();
    this._texts.set(id, written);
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
          await new Promise<void>(resolve => (written.wake = resolve));
        }
      }
    } finally {
      if (!written.ended) {
        this._port.postMessage({ kind: 'stop', id });
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
    const written = this._texts.get(message.id);
    if (!written) {
      return;
    }
    if (message.kind === 'token') {
      written.tokens.push(message.token);
    } else {
      written.ended = true;
      const { error } = message;
      written.error = error === undefined ? null : new ServerError(500, 'model_failed', error);
    }
    written.wake();
  }

  /** The worker has ended or opens another model: fail all generations. */
  fail(error: Error): void {
    this._error = error;
    for (const written of this._texts.values()) {
      written.ended = true;
      written.error = error;
      written.wake();
    }
  }

  private _error: Error | null = null;
  private readonly _texts = new Map<number, IWritten>();
}
