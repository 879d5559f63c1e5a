/** What the page and the worker with the engine say to each other. */

import type { IError, IStep } from '../wire';
import type { IAsk, IUsage } from './engineinterface';
import type { ISource } from './modelfile';
import type { IVocabularyTold } from './vocabulary';

/** A model as the page knows it. */
export interface IOpened extends IVocabularyTold {
  name: string;
  contextSize: number;
  onDemand?: boolean;
}

/** What a text is asked with; what it costs comes back with its end. */
export type Asked = Omit<IAsk, 'usage'>;

export type ToWorker =
  | { kind: 'open'; name: string; source: ISource }
  | { kind: 'generate'; id: number; ask: Asked }
  | { kind: 'stop'; id: number }
  | { kind: 'stored'; call: number; sources: ISource[] }
  | { kind: 'remove'; call: number; source: ISource };

export type FromWorker =
  | { kind: 'step'; step: IStep }
  | { kind: 'opened'; model: IOpened }
  | { kind: 'not opened'; error: Pick<IError, 'code' | 'message'> }
  /** it is at work on what takes a while */
  | { kind: 'alive' }
  /** tokens and their probabilities, in turn; none: it still reads */
  | { kind: 'tokens'; id: number; tokens: number[] }
  | { kind: 'end'; id: number; usage: IUsage; onDemand?: boolean; error?: string }
  | { kind: 'answer'; call: number; value: unknown };

/** One end of the line between them: a worker, the inside of one, or a port. */
export interface IPort<In, Out> {
  postMessage(message: Out): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
