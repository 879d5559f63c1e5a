/** Download models and describe the progress. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IClient } from './client';
import { describeSize } from './filesize';
import { ServerError } from './requesterror';
import type { IModel, IProgress } from './wire';
import { describeError } from './messages';

/** The fields of a model that a download needs. */
export type Downloadable = Pick<IModel, 'name' | 'spec'>;

export interface IOptions {
  /** Whether a mirror may be used. */
  mirrors: boolean;
  /** Whether to select the model afterwards. */
  select: boolean;
  progress?: (step: IProgress) => void;
}

/** The outcome of a download, with the reason for a failure. */
export type Outcome =
  | { kind: 'stored' }
  | { kind: 'stopped'; message: string }
  | { kind: 'failed'; message: string; code: string };

export class Downloads {
  constructor(
    private readonly _client: IClient,
    private readonly _availability: Availability,
    private readonly _trans: TranslationBundle
  ) {}

  /** Download a model; the server's health is checked afterwards. */
  async start(model: Downloadable, { mirrors, select, progress }: IOptions): Promise<Outcome> {
    this._failures.delete(model.name);
    let outcome: Outcome = { kind: 'stored' };
    try {
      await this._client.pull(model.spec, mirrors, progress ?? (() => undefined), select);
    } catch (reason) {
      const message = describeError(this._trans, reason);
      const code = reason instanceof ServerError ? reason.code : '';
      outcome = code === 'cancelled' ? { kind: 'stopped', message } : { kind: 'failed', message, code };
      if (outcome.kind === 'failed') {
        this._failures.set(model.name, message);
      }
    }
    void this._availability.check();
    return outcome;
  }

  /** Return the error of the last download of a model from this page. */
  failureOf(name: string): string | undefined {
    return this._failures.get(name);
  }

  private readonly _failures = new Map<string, string>();
}

/** The label of the button that downloads a model. It mentions a mirror, which requires the user's consent. */
export function downloadLabel(
  trans: TranslationBundle,
  { checkpoint, damaged, mirror_only }: Partial<IModel>
): string {
  if (mirror_only) {
    return trans.__('Download From Mirror');
  }
  if (checkpoint) {
    return trans.__('Download and Convert');
  }
  return damaged ? trans.__('Download Again') : trans.__('Download');
}

/** Describe the progress of a download in one line. */
export function describeStep(trans: TranslationBundle, name: string, step: IProgress): string {
  if (step.phase === 'verifying') {
    return trans.__('Verifying the checksum of %1…', name);
  }
  if (step.phase === 'waiting' || !step.received) {
    return trans.__('Downloading %1…', name);
  }
  const done = describeSize(step.received);
  return step.total
    ? trans.__('Downloading %1: %2 of %3', name, done, describeSize(step.total))
    : trans.__('Downloading %1: %2', name, done);
}
