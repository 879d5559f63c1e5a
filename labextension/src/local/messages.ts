/** What the page and the worker with the engine say to each other. */

import type { IError, IStep } from '../wire';
import type { IAsk, IToken, IUsage } from './engineinterface';
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
  | { kind: 'generate'; id: number; ask: Asked }
  | { kind: 'stop'; id: number }
  | { kind: 'stored'; call: number; sources: ISource[] }
  | { kind: 'remove'; call: number; source: ISource }
  | { kind: 'fetch'; call: number; source: ISource }
  /** it is answered with what was opened */
  | { kind: 'open'; call: number; name: string; source: ISource }
  /** stop fetching or opening a model */
  | { kind: 'give up'; call: number };

export type FromWorker =
  /** how far the file is that a call fetches */
  | { kind: 'step'; call: number; step: IStep }
  /** it is at work on what takes a while */
  | { kind: 'alive' }
  | { kind: 'token'; id: number; token: IToken }
  | { kind: 'end'; id: number; usage: IUsage; error?: string }
  | { kind: 'answer'; call: number; value: unknown; error?: Told };

/** One end of the line between them: a worker, the inside of one, or a port. */
export interface IPort<In, Out> {
  postMessage(message: Out): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
