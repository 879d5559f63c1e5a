/** The messages between the page and the engine's worker. */

import type { IError, IProgress } from '../wire';
import type { IEngineRequest, IToken } from './engineinterface';
import type { ISource } from './modelfile';
import type { IVocabularyData } from './vocabulary';

/** The code of an error: the browser does not store files. */
export const NO_STORAGE = 'no_storage';

/** The code of an error: the user stopped the operation. The same as the server's. */
export const STOPPED = 'cancelled';

/** An opened model. */
export interface IOpened {
  contextSize: number;
  vocabulary: IVocabularyData;
}

/** An error in a message. */
type WorkerError = Pick<IError, 'code' | 'message'>;

export type ToWorker =
  | { kind: 'generate'; id: number; ask: IEngineRequest }
  | { kind: 'stop'; id: number }
  | { kind: 'stored'; call: number; sources: ISource[] }
  | { kind: 'remove'; call: number; source: ISource }
  | { kind: 'fetch'; call: number; source: ISource }
  /** the reply is an `IOpened` */
  | { kind: 'open'; call: number; source: ISource }
  /** stop downloading or opening a model */
  | { kind: 'cancel'; call: number };

export type FromWorker =
  /** the progress of a call's download */
  | { kind: 'step'; call: number; step: IProgress }
  /** heartbeat during a long operation */
  | { kind: 'alive' }
  | { kind: 'token'; id: number; token: IToken }
  | { kind: 'end'; id: number; error?: string }
  | { kind: 'answer'; call: number; value: unknown; error?: WorkerError };

/** One end of the channel: a worker, its global scope, or a port. */
export interface IPort<In, Out> {
  postMessage(message: Out): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
