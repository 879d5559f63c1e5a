/** The panel of models: what there is, what suits this machine, fetching with progress, choosing, removing. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { ordered, size, speed, suits } from './choice';
import type { Client } from './client';
import type { IModel } from './wire';
import { describeStep } from './offer';
import { ServerError } from './trouble';
import { describeError } from './words';

const POLL = 1000;
/** Another tab may fetch, choose or remove a model. */
const SLOW_POLL = 5000;

export const modelIcon = new LabIcon({
  name: 'turbopilot:models',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" ' +
    'd="M12 2 3 7v10l9 5 9-5V7l-9-5zm0 2.3L18 7.6l-6 3.3-6-3.3 6-3.3zM5 9.3l6 3.3v6.6l-6-3.3V9.3zm8 9.9v-6.6l6-3.3v6.6l-6 3.3z"/></svg>'
});

export class ModelPanel extends Widget {
  constructor(
    private readonly _client: Client,
    private readonly _trans: TranslationBundle,
    private readonly _changed: () => void
  ) {
    super();
    this.id = 'turbopilot-models';
    this.title.label = _trans.__('Models');
    this.title.icon = modelIcon;
    this.title.closable = true;
    this.addClass('jp-Turbopilot-models');
    this._build();
  }

  /** Ask the server again and show what there is. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    const asked = ++this._asked;
    try {
      const found = await this._client.models();
      if (asked !== this._asked || this.isDisposed) {
        return;
      }
      this._models = found;
      this._show();
      if (this._lost) {
        this._tell('');
      }
      this._lost = false;
    } catch (reason) {
      if (asked !== this._asked || this.isDisposed) {
        return;
      }
      this._lost = true;
      this._tell(describeError(this._trans, reason), true);
    }
    const busy = this._loading || this._models.some(model => model.pulling);
    this._timer = window.setTimeout(() => this._turn(), busy && !this._lost ? POLL : SLOW_POLL);
  }

  /** Look again, where anybody can see it. */
  private _turn(): void {
    if (this.isVisible && !document.hidden) {
      void this.refresh();
    } else if (this.isAttached) {
      this._timer = window.setTimeout(() => this._turn(), SLOW_POLL);
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    void this.refresh();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this._other.focus();
  }

  override dispose(): void {
    window.clearTimeout(this._timer);
    super.dispose();
  }

  private _build(): void {
    const trans = this._trans;
    const heading = document.createElement('h2');
    heading.textContent = trans.__('Models');
    const intro = document.createElement('p');
    intro.textContent = trans.__(
      'A model runs inside your Jupyter server. Sizes with ~ and speeds are estimates for this machine.'
    );
    const form = document.createElement('form');
    this._other.type = 'text';
    this._other.className = 'jp-mod-styled';
    this._other.placeholder = trans.__('A path, owner/repository/file.gguf or https://….gguf');
    this._other.setAttribute('aria-label', trans.__('Another model'));
    form.append(this._other, button(trans.__('Use'), 'submit'));
    form.addEventListener('submit', event => {
      event.preventDefault();
      const spec = this._other.value.trim();
      if (spec) {
        void this._use(spec);
      }
    });
    const label = document.createElement('label');
    this._all.type = 'checkbox';
    this._all.addEventListener('change', () => this._show());
    label.append(this._all, ` ${trans.__('Also those that are too large or too slow for this machine')}`);
    this._said.className = 'jp-Turbopilot-said';
    this._said.setAttribute('role', 'status');
    const table = document.createElement('table');
    table.setAttribute('aria-label', trans.__('Models'));
    const head = table.createTHead().insertRow();
    for (const title of [
      trans.__('Model'),
      trans.__('Size'),
      trans.__('Memory'),
      trans.__('Tokens/s'),
      trans.__('Licence'),
      trans.__('State')
    ]) {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = title;
      head.append(cell);
    }
    table.append(this._body);
    this.node.append(heading, intro, form, label, this._said, table);
  }

  private _show(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset?.key;
    const shown = ordered(this._models).filter(model => this._all.checked || suits(model));
    this._body.replaceChildren(...shown.map(model => this._row(model)));
    if (focused) {
      // The rows are new; who was on a button stays on it.
      this._body.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  private _row(model: IModel): HTMLTableRowElement {
    const trans = this._trans;
    const row = document.createElement('tr');
    row.dataset.model = model.name;
    row.setAttribute('aria-current', String(model.selected));
    const name = document.createElement('th');
    name.scope = 'row';
    name.append(model.name);
    const use = document.createElement('small');
    use.textContent = [
      model.verdict === 'recommended' ? trans.__('recommended') : '',
      model.use,
      this._tuning(model),
      model.fim === 'none' ? trans.__('does not see what follows the cursor') : ''
    ]
      .filter(Boolean)
      .join(' · ');
    name.append(use);
    row.append(name);
    for (const [title, text] of [
      [trans.__('Size'), size(model.size, model.counted)],
      [trans.__('Memory'), size(model.memory, false)],
      [trans.__('Tokens/s'), speed(model.tokens_a_second)],
      [trans.__('Licence'), model.licence]
    ] as const) {
      const cell = row.insertCell();
      cell.textContent = text;
      // Shown where there is no room for the table's head.
      cell.dataset.title = title;
    }
    row.append(this._state(model));
    return row;
  }

  /** What a model was tuned to, and whether that is in use. */
  private _tuning(model: IModel): string {
    const trans = this._trans;
    const names = (model.adapters ?? []).map(adapter =>
      adapter.ours
        ? trans.__('notebooks')
        : adapter.language
          ? trans.__('%1 (%2)', adapter.name, adapter.language)
          : adapter.name
    );
    if (!names.length) {
      return '';
    }
    const known = names.join(', ');
    return model.tuned ? trans.__('tuned to %1', known) : trans.__('as published, not tuned to %1', known);
  }

  private _state(model: IModel): HTMLTableCellElement {
    const trans = this._trans;
    const cell = document.createElement('td');
    const act = (label: string, key: string, action: () => void): void => {
      const made = button(label, 'button');
      made.dataset.key = `${key}:${model.name}`;
      made.setAttribute('aria-label', `${label}: ${model.name}`);
      made.addEventListener('click', action);
      cell.append(made);
    };
    if (model.pulling) {
      const step = model.progress;
      const progress = document.createElement('progress');
      progress.setAttribute('aria-label', trans.__('Fetching %1', model.name));
      if (step?.total) {
        progress.max = step.total;
        progress.value = step.received ?? 0;
      }
      const said = document.createElement('small');
      said.textContent = step ? describeStep(trans, model.name, step) : '';
      cell.append(progress, said);
      act(trans.__('Stop'), 'stop', () => void this._stop(model));
    } else if (model.selected && model.stored) {
      cell.append(`${trans.__('in use')} `);
      if (model.adapters?.length) {
        act(
          model.tuned ? trans.__('Use as published') : trans.__('Use tuned'),
          'tune',
          () => void this._use(model.spec, !model.tuned)
        );
      }
    } else if (model.verdict === 'not run here') {
      cell.append(trans.__('not run here'));
    } else if (model.stored) {
      act(trans.__('Use'), 'use', () => void this._use(model.spec));
      act(trans.__('Remove'), 'remove', () => void this._remove(model));
    } else {
      act(
        model.checkpoint ? trans.__('Fetch and convert') : trans.__('Download'),
        'pull',
        () => void this._pull(model, false)
      );
      const failure = model.failed ?? this._failed.get(model.name);
      if (failure) {
        const said = document.createElement('small');
        said.className = 'jp-mod-error';
        said.textContent = trans.__('The download failed. %1', failure);
        cell.append(said);
      }
      if (failure && model.mirror) {
        act(trans.__('Use the mirror'), 'mirror', () => void this._pull(model, true));
      }
      if (model.verdict === 'too large' || model.verdict === 'slow') {
        const warning = document.createElement('small');
        warning.textContent =
          model.verdict === 'slow' ? trans.__('slow here') : trans.__('too large for the free memory');
        cell.append(warning);
      }
    }
    return cell;
  }

  private async _use(spec: string, tuned: boolean | null = null): Promise<void> {
    const known = this._models.find(model => model.spec === spec || model.name === spec);
    try {
      await this._client.select(spec, tuned);
      this._tell(this._trans.__('%1 is being loaded.', known?.name ?? spec));
      this._other.value = '';
      await this._loaded();
    } catch (reason) {
      if ((reason as { code?: string }).code === 'model_missing') {
        await this._pull(known ?? { name: spec, spec }, false, true);
        return;
      }
      this._tell(describeError(this._trans, reason), true);
    }
    this._changed();
    await this.refresh();
  }

  /** Wait until the model is there, or until it is said why not; the one before goes on working then. */
  private async _loaded(): Promise<void> {
    this._loading = true;
    try {
      for (;;) {
        const health = await this._client.health();
        if (health.phase !== 'loading') {
          this._tell(
            health.ready && !health.notice
              ? this._trans.__('%1 is ready.', health.model)
              : (health.notice ?? health.reason ?? this._trans.__('not available')),
            !health.ready || !!health.notice
          );
          return;
        }
        await new Promise(resolve => window.setTimeout(resolve, POLL / 2));
      }
    } finally {
      this._loading = false;
    }
  }

  private async _pull(model: Pick<IModel, 'name' | 'spec'>, mirrors: boolean, select = false): Promise<void> {
    this._failed.delete(model.name);
    this._tell(this._trans.__('Fetching %1…', model.name));
    window.setTimeout(() => void this.refresh(), POLL / 4);
    try {
      await this._client.pull(model.spec, mirrors, () => undefined, select);
      this._tell(this._trans.__('%1 is on this machine.', model.name));
    } catch (reason) {
      const message = describeError(this._trans, reason);
      const stopped = reason instanceof ServerError && reason.code === 'cancelled';
      if (!stopped) {
        this._failed.set(model.name, message);
      }
      this._tell(message, !stopped);
    }
    this._changed();
    await this.refresh();
  }

  private async _stop(model: IModel): Promise<void> {
    await this._client
      .stopPull(model.spec)
      .catch((reason: unknown) => this._tell(describeError(this._trans, reason), true));
  }

  private async _remove(model: IModel): Promise<void> {
    const asked = await showDialog({
      title: this._trans.__('Remove %1?', model.name),
      body: this._trans.__('Its file, %1, is deleted from this machine.', size(model.size)),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: this._trans.__('Remove') })]
    });
    if (!asked.button.accept) {
      return;
    }
    try {
      const freed = await this._client.remove(model.spec);
      this._tell(this._trans.__('%1 freed.', size(freed)));
    } catch (reason) {
      this._tell(describeError(this._trans, reason), true);
    }
    await this.refresh();
  }

  private _tell(text: string, wrong = false): void {
    this._said.textContent = text;
    this._said.classList.toggle('jp-mod-error', wrong);
  }

  private readonly _other = document.createElement('input');
  private readonly _all = document.createElement('input');
  private readonly _said = document.createElement('p');
  private readonly _body = document.createElement('tbody');
  private readonly _failed = new Map<string, string>();
  private _asked = 0;
  private _lost = false;
  private _models: IModel[] = [];
  private _timer = 0;
  private _loading = false;
}

function button(label: string, type: 'button' | 'submit'): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = type;
  made.className = 'jp-mod-styled jp-mod-minimal';
  made.textContent = label;
  return made;
}
