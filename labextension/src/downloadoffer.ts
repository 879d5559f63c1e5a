/** The notification that offers the download of a missing model and shows its progress. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IClient } from './client';
import { describeStep, downloadLabel, type Downloads, type Outcome } from './downloads';
import { describeSize } from './filesize';
import { describeError } from './messages';
import type { IModel } from './wire';

/** A missing model; one that the server does not list has only a name and a spec. */
type Missing = Pick<IModel, 'name' | 'spec'> & Partial<IModel>;

/** The CSS property of a notification that draws a progress bar: JupyterLab draws none for its `progress`. */
const PROGRESS = '--jp-Turbopilot-progress';

export class DownloadOffer {
  constructor(
    private readonly _client: IClient,
    private readonly _downloads: Downloads,
    private readonly _availability: Pick<Availability, 'check' | 'loaded'>,
    private readonly _trans: TranslationBundle
  ) {}

  /** Offer the download of a missing or damaged model, once for each. */
  async offer(name: string, code = 'model_missing'): Promise<void> {
    const offered = `${code} ${name}`;
    if (this._offered.has(offered)) {
      return;
    }
    this._offered.add(offered);
    const models = await this._client.models().catch(() => null);
    if (!models) {
      this._offered.delete(offered);
      return;
    }
    const listed = models.find(candidate => candidate.name === name || candidate.spec === name);
    const model: Missing = listed ?? { name, spec: name };
    if (model.pulling) {
      await this._download(model, false);
      return;
    }
    const size = describeSize(model.size) || this._trans.__('size unknown');
    Notification.info(
      model.damaged
        ? this._trans.__('Turbopilot: %1 is damaged. Download it again (%2).', name, size)
        : this._trans.__(
            'Turbopilot needs a model: %1 (%2, %3).',
            name,
            size,
            model.licence ?? this._trans.__('licence unknown')
          ),
      {
        autoClose: false,
        actions: [
          this._downloadAction(model),
          {
            label: this._trans.__('Not Now'),
            callback: () => undefined
          }
        ]
      }
    );
  }

  /** Download a model and use it, with progress and a way to stop. */
  private async _download(model: Missing, mirrors: boolean): Promise<void> {
    const { name, spec } = model;
    const id = Notification.emit(this._trans.__('Downloading %1…', name), 'in-progress', {
      autoClose: false,
      progress: 0,
      actions: [
        {
          label: this._trans.__('Stop'),
          callback: event => {
            event.preventDefault();
            this._client
              .stopPull(spec)
              .catch((reason: unknown) =>
                Notification.error(`Turbopilot: ${describeError(this._trans, reason)}`)
              );
          }
        }
      ]
    });
    const outcome = await this._downloads.start(model, {
      mirrors,
      select: true,
      progress: step => {
        const progress = step.total ? (step.received ?? 0) / step.total : 0;
        Notification.update({ id, message: describeStep(this._trans, name, step), progress });
        document.getElementById(id)?.style.setProperty(PROGRESS, String(progress));
      }
    });
    document.getElementById(id)?.style.removeProperty(PROGRESS);
    if (outcome.kind === 'stored') {
      await this._showLoading(id, name);
    } else {
      this._showOutcome(id, model, mirrors, outcome);
    }
  }

  /** Show that the model loads, which takes longest the first time. The status item shows why it does not load. */
  private async _showLoading(id: string, name: string): Promise<void> {
    Notification.update({ id, message: this._trans.__('Loading %1…', name), actions: [] });
    await this._availability.check();
    const { health } = await this._availability.loaded();
    if (health && health.phase !== 'failed') {
      const message = this._trans.__('%1 is ready. Start typing.', name);
      Notification.update({ id, type: 'success', message, autoClose: 5000 });
    } else {
      Notification.dismiss(id);
    }
  }

  private _showOutcome(
    id: string,
    model: Missing,
    mirrors: boolean,
    outcome: Exclude<Outcome, { kind: 'stored' }>
  ): void {
    const trans = this._trans;
    const show = (type: 'default' | 'error', message: string, actions: Notification.IAction[]): boolean =>
      Notification.update({ id, type, message, autoClose: false, actions });
    if (outcome.kind === 'stopped') {
      show('default', outcome.message, [this._downloadAction(model)]);
      return;
    }
    const again = (label: string, withMirrors: boolean) => ({
      label,
      callback: () => void this._download(model, withMirrors)
    });
    const actions: Notification.IAction[] = [again(trans.__('Try Again'), mirrors)];
    if (outcome.code === 'download_failed' && model.mirror && !mirrors) {
      actions.unshift({
        ...again(trans.__('Use Mirror'), true),
        displayType: 'accent',
        caption: trans.__(
          'The mirror serves the same file, uploaded by a third party. Turbopilot verifies its checksum.'
        )
      });
    }
    show('error', outcome.message, actions);
  }

  private _downloadAction(model: Missing): Notification.IAction {
    return {
      label: downloadLabel(this._trans, model),
      displayType: 'accent',
      callback: () => void this._download(model, Boolean(model.mirror_only))
    };
  }

  private readonly _offered = new Set<string>();
}
