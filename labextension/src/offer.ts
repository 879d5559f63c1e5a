/** Fetching the model that is missing: the notification with size and progress. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Client } from './client';
import type { IModel, IStep } from './wire';
import { ServerError } from './trouble';
import { describeError } from './words';

export function megabytes(bytes: number | null | undefined): string {
  return bytes ? `${Math.round(bytes / 1e6)} MB` : '';
}

/** One line that says how far a download is. */
export function describeStep(trans: TranslationBundle, name: string, step: IStep): string {
  if (step.phase === 'verifying') {
    return trans.__('Checking %1 against its digest…', name);
  }
  if (step.phase === 'waiting' || !step.received) {
    return trans.__('Fetching %1…', name);
  }
  const done = megabytes(step.received);
  return step.total
    ? trans.__('Fetching %1: %2 of %3', name, done, megabytes(step.total))
    : trans.__('Fetching %1: %2', name, done);
}

export class Models {
  constructor(
    private readonly _client: Client,
    private readonly _trans: TranslationBundle,
    private readonly _changed: () => void
  ) {}

  /** Offer the download of the model that is missing; once. */
  async offer(name: string): Promise<void> {
    if (this._offered) {
      return;
    }
    this._offered = true;
    const found = await this._client.models().catch(() => null);
    if (!found) {
      this._offered = false;
      return;
    }
    const model = found.find(candidate => candidate.name === name || candidate.spec === name);
    const spec = model?.spec ?? name;
    if (model?.pulling) {
      await this.pull(spec, model, false);
      return;
    }
    Notification.info(
      this._trans.__(
        'Turbopilot completes your code on this machine. Its model %1 has to be fetched once: %2, licence %3.',
        name,
        megabytes(model?.size) || this._trans.__('size unknown'),
        model?.licence ?? this._trans.__('unknown')
      ),
      {
        autoClose: false,
        actions: [
          {
            label: this._trans.__('Download'),
            displayType: 'accent',
            callback: () => void this.pull(spec, model, false)
          },
          {
            label: this._trans.__('Not now'),
            callback: () => undefined
          }
        ]
      }
    );
  }

  /** Fetch a model and use it, with progress and a way to stop. */
  async pull(spec: string, model: IModel | undefined, mirrors: boolean): Promise<void> {
    const name = model?.name ?? spec;
    const id = Notification.emit(this._trans.__('Fetching %1…', name), 'in-progress', {
      autoClose: false,
      progress: 0,
      actions: [
        {
          label: this._trans.__('Stop'),
          callback: event => {
            event.preventDefault();
            void this._client.stopPull(spec);
          }
        }
      ]
    });
    try {
      await this._client.pull(spec, mirrors, step => {
        Notification.update({
          id,
          message: describeStep(this._trans, name, step),
          progress: step.total ? (step.received ?? 0) / step.total : 0
        });
      });
      Notification.update({
        id,
        type: 'success',
        message: this._trans.__('%1 is here. Start typing.', name),
        autoClose: 5000,
        actions: []
      });
    } catch (reason) {
      const code = reason instanceof ServerError ? reason.code : '';
      this._failed(id, spec, model, mirrors, code, describeError(this._trans, reason));
    }
    this._changed();
  }

  private _failed(
    id: string,
    spec: string,
    model: IModel | undefined,
    mirrors: boolean,
    code: string,
    message: string
  ): void {
    const actions: Notification.IAction[] =
      code === 'cancelled'
        ? []
        : [
            {
              label: this._trans.__('Try again'),
              callback: () => void this.pull(spec, model, mirrors)
            }
          ];
    if (code === 'download_failed' && model?.mirror && !mirrors) {
      actions.unshift({
        label: this._trans.__('Use the mirror'),
        displayType: 'accent',
        caption: this._trans.__(
          'The mirror holds the same bytes, uploaded by somebody else. They are checked by digest.'
        ),
        callback: () => void this.pull(spec, model, true)
      });
    }
    Notification.update({
      id,
      type: code === 'cancelled' ? 'default' : 'error',
      message,
      autoClose: false,
      actions
    });
  }

  private _offered = false;
}
