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

/** A call to the worker. The steps of `generate` are tokens; the reply to `open` is an `IOpened`. */
export type Call =
  | { kind: 'generate'; ask: IEngineRequest }
  | { kind: 'stored'; sources: ISource[] }
  | { kind: 'remove' | 'fetch' | 'open'; source: ISource };

/** What a call reports before its answer: a token, or the progress of its download. */
export type Step = IToken | IProgress;

export type ToWorker = (Call & { call: number }) | { kind: 'cancel'; call: number };

export type FromWorker =
  /** heartbeat during a long operation */
  | { kind: 'alive' }
  | { kind: 'step'; call: number; step: Step }
  | { kind: 'answer'; call: number; value: unknown; error?: Pick<IError, 'code' | 'message'> };

/** One end of the channel: a worker, its global scope, or a port. */
export interface IPort<In, Out> {
  postMessage(message: Out): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
