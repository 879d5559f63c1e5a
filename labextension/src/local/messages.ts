/** What the page and the worker with the engine say to each other. */

import type { IError, IStep } from '../wire';
import type { IAsk, IUsage } from './engineinterface';
import type { ISource } from './modelfile';
import type { IVocabularyTold } from './vocabulary';

/** The code of an error: the browser keeps no files. */
export const NO_STORAGE = 'no_storage';

/** The code of an error that the person made, as the server has it. */
export const STOPPED = 'cancelled';

/** A model as the page knows it. */
export interface IOpened {
  name: string;
  contextSize: number;
  vocabulary: IVocabularyTold;
}

/** What a text is asked with; what it costs comes back with its end. */
export type Asked = Omit<IAsk, 'usage'>;

/** An error as the worker tells it. */
type Told = Pick<IError, 'code' | 'message'>;

export type ToWorker =
  | { kind: 'open'; name: string; source: ISource }
  /** give up the model that is being opened */
  | { kind: 'stop opening' }
  | { kind: 'generate'; id: number; ask: Asked }
  | { kind: 'stop'; id: number }
  | { kind: 'stored'; call: number; sources: ISource[] }
  | { kind: 'remove'; call: number; source: ISource }
  | { kind: 'fetch'; call: number; source: ISource }
  | { kind: 'give up'; call: number };

export type FromWorker =
  /** how far the model is that is being opened, or the file that a call fetches */
  | { kind: 'step'; step: IStep; call?: number }
  | { kind: 'opened'; model: IOpened }
  | { kind: 'not opened'; error: Told }
  /** it is at work on what takes a while */
  | { kind: 'alive' }
  /** tokens and their probabilities, in turn */
  | { kind: 'tokens'; id: number; tokens: number[] }
  | { kind: 'end'; id: number; usage: IUsage; error?: string }
  | { kind: 'answer'; call: number; value: unknown; error?: Told };

/** One end of the line between them: a worker, the inside of one, or a port. */
export interface IPort<In, Out> {
  postMessage(message: Out): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
