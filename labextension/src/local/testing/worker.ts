/** A fake worker for tests, which can open every model. */

import type { IProgress } from '../../wire';
import type { ILocalModel } from '../catalogue';
import type { ILine } from '../workerconnection';
import type { FromWorker, ToWorker } from '../messages';

const TEXTS = ['', '', '', ...Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)), '\n'];

/** It always generates `yes`. */
export class FakeWorker implements ILine {
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly opened: string[] = [];
  error: { code: string; message: string } | null = null;
  /** the only model that has the error; empty: all have it */
  damaged = '';
  /** why nothing can be removed */
  refusal: { code: string; message: string } | null = null;
  silent = false;
  /** whether its script has not come */
  dead = false;
  /** whether it fails once it has begun to generate */
  stops = false;
  /** how far a model's file is that does not come any further */
  stuck: IProgress | null = null;
  ended = false;
  readonly reported: ToWorker[] = [];
  private called = 0;
  /** The call that opens a model; 0: none does. */
  private opening = 0;

  postMessage(message: ToWorker): void {
    if (this.dead) {
      return;
    }
    this.reported.push(message);
    if (message.kind === 'open') {
      const { name } = message.source as ILocalModel;
      this.opened.push(name);
      this.opening = message.call;
      if (this.stuck) {
        this.say({ kind: 'step', call: message.call, step: this.stuck });
      } else if (this.error && (this.damaged || name) === name) {
        this.fail(this.error);
      } else {
        this.open();
      }
    } else if (message.kind === 'cancel') {
      if (message.call === this.opening) {
        this.stuck = null;
        this.fail({ code: 'cancelled', message: 'Stopped.' });
      } else if (message.call === this.called) {
        this.answer({ error: { code: 'cancelled', message: 'Stopped.' } });
      }
    } else if (message.kind === 'generate' && !this.silent) {
      for (const character of 'yes') {
        const token = { token: TEXTS.indexOf(character), probability: 0.99 };
        this.say({ kind: 'step', call: message.call, step: token });
      }
      if (!this.stops) {
        this.say({ kind: 'answer', call: message.call, value: null });
      }
    } else if (message.kind === 'fetch') {
      this.called = message.call;
      if (this.stuck) {
        this.say({ kind: 'step', call: message.call, step: this.stuck });
      } else {
        this.answer();
      }
    } else if (message.kind === 'stored') {
      this.say({ kind: 'answer', call: message.call, value: message.sources.map(() => true) });
    } else if (message.kind === 'remove') {
      const error = this.refusal ? { error: this.refusal } : {};
      this.say({ kind: 'answer', call: message.call, value: message.source.size, ...error });
    }
  }

  terminate(): void {
    this.ended = true;
  }

  /** The model that is being opened is there. */
  arrive(): void {
    this.stuck = null;
    this.open();
  }

  /** Answer the last call. */
  answer(how: Partial<FromWorker & { kind: 'answer' }> = {}): void {
    this.say({ kind: 'answer', call: this.called, value: null, ...how });
  }

  say(data: FromWorker): void {
    queueMicrotask(() => !this.ended && this.onmessage?.({ data } as MessageEvent<FromWorker>));
  }

  private open(): void {
    const marks = { prefix: 0, suffix: 1, middle: 2 };
    const model = { contextSize: 512, vocabulary: { texts: TEXTS, marks, standIn: 3 } };
    this.say({ kind: 'answer', call: this.opening, value: model });
    this.opening = 0;
  }

  /** The model that is being opened cannot be. */
  private fail(error: { code: string; message: string }): void {
    this.say({ kind: 'answer', call: this.opening, value: null, error });
    this.opening = 0;
  }
}
