/** The Models panel: list, download, select and remove models. */

import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { type Availability, servesAnother } from './availability';
import type { IClient } from './client';
import type { Downloadable, Downloads } from './downloads';
import { button, element } from './elements';
import { describeHost, type Hidden, hiddenAs, type IActions, modelRow, ordered, titles } from './modelrow';
import { describeSize } from './filesize';
import { ServerError } from './requesterror';
import type { IModel } from './wire';
import { describeError, describeRequestError } from './messages';

const POLL = 1000;
/** Another tab may download, select or remove a model. */
const SLOW_POLL = 5000;

const modelIcon = new LabIcon({
  name: 'turbopilot:models',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" ' +
    'd="M12 2 3 7v10l9 5 9-5V7l-9-5zm0 2.3L18 7.6l-6 3.3-6-3.3 6-3.3zM5 9.3l6 3.3v6.6l-6-3.3V9.3zm8 9.9v-6.6l6-3.3v6.6l-6 3.3z"/></svg>'
});

/** Return a function that opens the panel or activates the open one. */
export function panelOpener(shell: JupyterFrontEnd.IShell, make: () => ModelPanel): () => void {
  let panel: MainAreaWidget<ModelPanel> | null = null;
  return () => {
    if (!panel || panel.isDisposed) {
      panel = new MainAreaWidget({ content: make() });
      panel.id = 'turbopilot-models-panel';
    }
    if (!panel.isAttached) {
      shell.add(panel, 'main');
    }
    if (!panel.isAttached) {
      // The main area of Notebook 7 has space for one document only.
      shell.add(panel, 'right');
    }
    shell.activateById(panel.id);
  };
}

export class ModelPanel extends Widget {
  constructor(
    private readonly _client: IClient,
    private readonly _availability: Availability,
    private readonly _downloads: Downloads,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = 'turbopilot-models';
    this.title.label = _trans.__('Models');
    this.title.icon = modelIcon;
    this.addClass('jp-Turbopilot-models');
    this._build();
    _availability.changed.connect((_, change) => {
      // Another model was selected, here or in another tab.
      if (servesAnother(change)) {
        void this.refresh();
      }
    }, this);
  }

  /** Fetch the list of models and show it. */
  async refresh(): Promise<void> {
    window.clearTimeout(this._timer);
    const asked = ++this._asked;
    const models = await this._client.models().catch((reason: unknown) => describeError(this._trans, reason));
    if (asked !== this._asked || this.isDisposed) {
      return;
    }
    if (typeof models === 'string') {
      this._tell(models, true);
    } else {
      this._models = models;
      this._show();
      if (this._lost) {
        this._tell('');
      }
    }
    this._lost = typeof models === 'string';
    const busy = this._loading || this._models.some(model => model.pulling);
    this._timer = window.setTimeout(() => this._poll(), busy && !this._lost ? POLL : SLOW_POLL);
  }

  /** Refresh while the panel is visible. */
  private _poll(): void {
    if (this.isVisible && !document.hidden) {
      void this.refresh();
    } else if (this.isAttached) {
      this._timer = window.setTimeout(() => this._poll(), SLOW_POLL);
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._order = [];
    void this.refresh();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this._focus();
  }

  /** Focus the first control, or the panel until there is one. */
  private _focus(): void {
    const first = this._form.hidden ? this._body.querySelector('button') : this._other;
    (first ?? this.node).focus();
    this._awaitsFocus = first === null;
  }

  override dispose(): void {
    window.clearTimeout(this._timer);
    super.dispose();
  }

  private _build(): void {
    const trans = this._trans;
    const { _form: form, _other: other } = this;
    other.type = 'text';
    other.placeholder = trans.__('file.gguf, owner/repository/file.gguf or https://…');
    const label = element('label', '', trans.__('Another model'));
    label.append(other);
    form.append(label, button(trans.__('Use'), 'submit'));
    form.addEventListener('submit', event => {
      event.preventDefault();
      const spec = other.value.trim();
      if (spec) {
        void this._use(spec);
      }
    });
    other.addEventListener('input', () => this._tell(''));
    this._further.append(
      this._checkbox('unmeasured', trans.__('Also show models that were not measured')),
      this._checkbox('unsuitable', trans.__('Also show models that are too large or slow for this machine'))
    );
    this._message.setAttribute('role', 'status');
    const table = element('table');
    table.setAttribute('aria-label', trans.__('Models'));
    table.createTHead().append(this._head);
    table.append(this._body);
    this.node.tabIndex = -1;
    this.node.addEventListener('focusout', () => (this._awaitsFocus = false));
    const heading = element('h2', '', trans.__('Models'));
    this.node.append(heading, this._intro, form, this._message, table, this._further);
    this._introduce();
  }

  /** A line with a checkbox that shows rows that are hidden at first. */
  private _checkbox(hidden: Hidden, text: string): HTMLElement {
    const box = element('input');
    box.type = 'checkbox';
    box.addEventListener('change', () => {
      this._shownAll[hidden] = box.checked;
      this._show();
    });
    const label = element('label');
    label.append(box, ` ${text}`);
    return label;
  }

  private get _inPage(): boolean {
    return Boolean(this._availability.state.health?.inPage);
  }

  /** Describe where the models run, and show the controls that are available there. */
  private _introduce(): void {
    const { health } = this._availability.state;
    this._intro.textContent = describeHost(this._trans, health);
    this._form.hidden = this._further.hidden = this._inPage || Boolean(health?.address);
    this._head.replaceChildren(
      ...titles(this._trans, this._inPage).map(title => {
        const cell = element('th', '', title);
        cell.scope = 'col';
        return cell;
      })
    );
  }

  private _show(): void {
    const focused = document.activeElement as HTMLElement | null;
    const focusedRow = focused?.closest<HTMLElement>('tr[data-model]');
    const actions: IActions = {
      use: (spec, adaptersEnabled) => void this._use(spec, adaptersEnabled),
      download: (model, mirrors) => void this._download(model, mirrors),
      stop: model => void this._stop(model),
      remove: model => void this._remove(model),
      inPage: this._inPage
    };
    this._introduce();
    const shown = this._inOrder()
      .filter(model => {
        const hidden = this._further.hidden ? null : hiddenAs(model);
        return hidden === null || this._shownAll[hidden];
      })
      .map(model => ({ ...model, failed: model.failed ?? this._downloads.failureOf(model.name) ?? null }));
    const state = JSON.stringify([shown, actions.inPage]);
    if (state === this._shown) {
      return; // new rows would take the focus from a button and swallow a click in progress
    }
    this._shown = state;
    const openMenu = this._body.querySelector<HTMLElement>('details[open] > summary')?.dataset.key;
    this._body.replaceChildren(...shown.map(model => modelRow(this._trans, model, actions)));
    this._find('key', openMenu)?.closest('details')?.setAttribute('open', '');
    if (focusedRow) {
      this._focusRow(focusedRow.dataset.model, focused?.dataset.key);
    } else if (this._awaitsFocus && document.activeElement === this.node) {
      this._focus(); // a click beside the buttons focuses the panel, too: the next key is not for the first of them
    }
  }

  /** Return the models in order; while the panel is visible, the order does not change. */
  private _inOrder(): IModel[] {
    const positions = new Map(this._order.map((name, position) => [name, position]));
    const positionOf = ({ name }: IModel): number => positions.get(name) ?? positions.size;
    const models = ordered(this._models).sort((a, b) => positionOf(a) - positionOf(b));
    this._order = models.map(({ name }) => name);
    return models;
  }

  /** Focus a button of a model, or its row if the button is gone, so that Enter does not press another button. */
  private _focusRow(model = '', key = ''): void {
    (this._find('key', key) ?? this._find('model', model) ?? this.node).focus();
  }

  /** Find the first element with this data attribute. */
  private _find(attribute: 'key' | 'model', value = ''): HTMLElement | null {
    return this._body.querySelector(`[data-${attribute}="${CSS.escape(value)}"]`);
  }

  private async _use(spec: string, adaptersEnabled: boolean | null = null): Promise<void> {
    const known = this._models.find(model => model.spec === spec || model.name === spec);
    try {
      const health = await this._client.select(spec, adaptersEnabled);
      this._tell(this._trans.__('Loading %1…', known?.name ?? spec));
      this._other.value = '';
      this._availability.reported(health);
      await this._waitUntilLoaded();
    } catch (reason) {
      if (reason instanceof ServerError && ['model_missing', 'model_damaged'].includes(reason.code)) {
        await this._download(known ?? { name: spec, spec }, false, true);
        return;
      }
      this._tell(describeError(this._trans, reason), true);
      void this._availability.check();
    }
    await this.refresh();
  }

  /** Wait until the model is loaded or has failed to load; the previous model is used in that case. */
  private async _waitUntilLoaded(): Promise<void> {
    const trans = this._trans;
    this._loading = true;
    const { health, error } = await this._availability.loaded();
    this._loading = false;
    if (health?.ready && !health.notice) {
      this._tell(trans.__('%1 is ready.', health.model));
    } else if (health) {
      this._tell(health.notice ?? health.reason ?? trans.__('The model is not available.'), true);
    } else if (error) {
      this._tell(describeRequestError(trans, error), true);
    }
  }

  private async _download(model: Downloadable, mirrors: boolean, select = false): Promise<void> {
    this._tell(this._trans.__('Downloading %1…', model.name));
    window.setTimeout(() => void this.refresh(), POLL / 4);
    const outcome = await this._downloads.start(model, { mirrors, select });
    this._tell(
      outcome.kind === 'stored' ? this._trans.__('Downloaded %1.', model.name) : outcome.message,
      outcome.kind === 'failed'
    );
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
      body: this._trans.__('This deletes the model file (%1).', describeSize(model.size)),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: this._trans.__('Remove') })],
      defaultButton: 0 // Enter cancels
    });
    // The rows may have been replaced while the dialog was open.
    this._focusRow(model.name, `remove:${model.name}`);
    if (!asked.button.accept) {
      return;
    }
    try {
      const freed = await this._client.remove(model.spec);
      this._tell(this._trans.__('Removed %2 (%1 freed).', describeSize(freed), model.name));
      void this._availability.check();
    } catch (reason) {
      this._tell(describeError(this._trans, reason), true);
    }
    await this.refresh();
  }

  private _tell(text: string, wrong = false): void {
    this._message.textContent = text;
    this._message.classList.toggle('jp-mod-error', wrong);
  }

  private readonly _intro = element('p');
  private readonly _form = element('form');
  private readonly _other = element('input', 'jp-mod-styled');
  private readonly _message = element('p', 'jp-Turbopilot-message');
  private readonly _head = element('tr');
  private readonly _body = element('tbody');
  private readonly _further = element('div', 'jp-Turbopilot-further');
  /** the rows that the user has chosen to see */
  private readonly _shownAll: Record<Hidden, boolean> = { unsuitable: false, unmeasured: false };
  private _asked = 0;
  private _lost = false;
  private _models: IModel[] = [];
  private _order: string[] = [];
  /** The rows that are shown, as JSON. */
  private _shown = '';
  private _timer = 0;
  private _loading = false;
  /** whether the panel has the focus until its first button exists */
  private _awaitsFocus = false;
}
