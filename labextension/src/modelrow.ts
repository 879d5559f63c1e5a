/** The table row of a model in the panel: its properties, its state and its buttons. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { speed } from './modellist';
import { describeStep, downloadLabel } from './downloads';
import { describeSize } from './filesize';
import type { IModel } from './wire';

/** The actions of the buttons. */
export interface IActions {
  use(spec: string, adaptersEnabled?: boolean): void;
  download(model: IModel, mirrors: boolean): void;
  stop(model: IModel): void;
  remove(model: IModel): void;
  /**
   * Whether the models run in this page. There are no estimates for these, and the selected one can be removed.
   */
  inPage: boolean;
}

export function button(label: string, type: 'button' | 'submit'): HTMLButtonElement {
  const element = document.createElement('button');
  element.type = type;
  element.className = 'jp-mod-styled jp-mod-minimal';
  element.textContent = label;
  return element;
}

/** Tokens per second below which a model is slow, and from which it is fast. */
const SLOW = 12;
const FAST = 30;

/** A column: its title, the text of a model and its tooltip. */
type Column = [title: string, textOf: (model: IModel) => string, tooltipOf?: (model: IModel) => string];

/** The columns between name and state. */
function columns(trans: TranslationBundle, inPage: boolean): Column[] {
  const estimates: Column[] = [
    [trans.__('Memory'), model => describeSize(model.memory, false)],
    [
      trans.__('Speed'),
      model => describeSpeed(trans, model.tokens_per_second),
      model =>
        model.tokens_per_second ? trans.__('%1 tokens per second', speed(model.tokens_per_second)) : ''
    ],
    [trans.__('Keystrokes saved'), model => describeSaved(trans, model.saved)]
  ];
  return [
    [trans.__('Size'), model => describeSize(model.size, model.exact_size)],
    ...(inPage ? [] : estimates),
    [trans.__('Licence'), model => model.licence]
  ];
}

/** Describe the estimated speed of a model. */
function describeSpeed(trans: TranslationBundle, tokens: number | null | undefined): string {
  if (!tokens) {
    return '';
  }
  return tokens < SLOW ? trans.__('slow') : tokens < FAST ? trans.__('OK') : trans.__('fast');
}

/** Describe the measured share of keystrokes that a model saves. */
function describeSaved(trans: TranslationBundle, saved: number | null | undefined): string {
  return typeof saved === 'number' ? trans.__('%1 %', Math.round(100 * saved)) : trans.__('Not measured');
}

/** The titles of the columns, in the order of a row's cells. */
export function titles(trans: TranslationBundle, inPage: boolean): string[] {
  const between = columns(trans, inPage).map(([title]) => title);
  return [trans.__('Model'), ...between, trans.__('State')];
}

/** Build the row of a model. */
export function modelRow(trans: TranslationBundle, model: IModel, actions: IActions): HTMLTableRowElement {
  const row = document.createElement('tr');
  row.dataset.model = model.name;
  row.tabIndex = -1;
  row.setAttribute('aria-current', String(model.selected));
  row.append(nameCell(trans, model));
  for (const [title, textOf, tooltipOf] of columns(trans, actions.inPage)) {
    const cell = row.insertCell();
    cell.textContent = textOf(model);
    cell.title = tooltipOf?.(model) ?? '';
    // Shown in narrow panels, which hide the table head.
    cell.dataset.title = title;
  }
  row.append(stateCell(trans, model, actions));
  return row;
}

function nameCell(trans: TranslationBundle, model: IModel): HTMLTableCellElement {
  const cell = document.createElement('th');
  cell.scope = 'row';
  cell.append(
    model.name,
    small(
      [
        model.verdict === 'recommended' ? trans.__('Recommended') : '',
        model.use,
        describeTuning(trans, model),
        model.fim === 'none' ? trans.__('Ignores text after the cursor') : '',
        model.gpu_offer
      ]
        .filter(Boolean)
        .join(' · ')
    )
  );
  return cell;
}

/** Describe a model's adapters and whether they are enabled. */
function describeTuning(trans: TranslationBundle, model: IModel): string {
  const names = (model.adapters ?? []).map(adapter =>
    adapter.bundled
      ? trans.__('notebooks')
      : adapter.language
        ? trans.__('%1 (%2)', adapter.name, adapter.language)
        : adapter.name
  );
  if (!names.length) {
    return '';
  }
  const listed = names.join(', ');
  return model.adapters_enabled
    ? trans.__('Adapter enabled: %1', listed)
    : trans.__('Adapter disabled: %1', listed);
}

/** The label of the button that enables or disables a model's adapters. */
function adapterLabel(trans: TranslationBundle, { adapters_enabled, adapters }: IModel): string {
  if (adapters?.every(({ bundled }) => bundled)) {
    return adapters_enabled ? trans.__('Use Original Model') : trans.__('Use Notebook Adapter');
  }
  return adapters_enabled ? trans.__('Disable Adapters') : trans.__('Enable Adapters');
}

function stateCell(trans: TranslationBundle, model: IModel, actions: IActions): HTMLTableCellElement {
  const cell = document.createElement('td');
  const addButton = (label: string, key: string, action: () => void, parent: HTMLElement = cell): void => {
    const element = button(label, 'button');
    element.dataset.key = `${key}:${model.name}`;
    element.setAttribute('aria-label', `${label}: ${model.name}`);
    element.addEventListener('click', action);
    parent.append(element);
  };
  if (model.pulling) {
    cell.append(progressBar(trans, model));
    cell.append(small(model.progress ? describeStep(trans, model.name, model.progress) : ''));
    addButton(trans.__('Stop'), 'stop', () => actions.stop(model));
  } else if (model.selected && model.stored) {
    cell.append(`${trans.__('In use')} `);
    if (model.adapters?.length) {
      const menu = document.createElement('details');
      const summary = document.createElement('summary');
      summary.textContent = trans.__('More');
      summary.setAttribute('aria-label', trans.__('More: %1', model.name));
      // The same key as its button: the menu gets the focus when the row is rebuilt.
      summary.dataset.key = `tune:${model.name}`;
      menu.append(summary);
      cell.append(menu);
      addButton(
        adapterLabel(trans, model),
        'tune',
        () => {
          summary.focus(); // a closed menu hides its button
          menu.open = false;
          actions.use(model.spec, !model.adapters_enabled);
        },
        menu
      );
    }
    if (actions.inPage) {
      addButton(trans.__('Remove'), 'remove', () => actions.remove(model));
    }
  } else if (model.verdict === 'with transformers') {
    cell.append(trans.__('Requires transformers'));
  } else if (model.stored) {
    addButton(trans.__('Use'), 'use', () => actions.use(model.spec));
    if (model.removable !== false) {
      addButton(trans.__('Remove'), 'remove', () => actions.remove(model));
    }
  } else {
    if (model.damaged) {
      cell.append(`${trans.__('Damaged')} `);
    }
    addButton(downloadLabel(trans, model), 'pull', () => actions.download(model, Boolean(model.mirror_only)));
    if (model.failed) {
      const message = small(trans.__('The download failed. %1', model.failed));
      message.className = 'jp-mod-error';
      cell.append(message);
    }
    if (model.failed && model.mirror && !model.mirror_only) {
      addButton(trans.__('Use Mirror'), 'mirror', () => actions.download(model, true));
    }
    if (model.damaged && model.removable !== false) {
      addButton(trans.__('Remove'), 'remove', () => actions.remove(model));
    }
    if (model.verdict === 'too large' || model.verdict === 'slow') {
      cell.append(
        small(model.verdict === 'slow' ? trans.__('Slow on this machine') : trans.__('Not enough memory'))
      );
    }
  }
  return cell;
}

function progressBar(trans: TranslationBundle, { name, progress }: IModel): HTMLProgressElement {
  const element = document.createElement('progress');
  element.setAttribute('aria-label', trans.__('Downloading %1', name));
  if (progress?.total) {
    element.max = progress.total;
    element.value = progress.received ?? 0;
  }
  return element;
}

function small(text: string): HTMLElement {
  const element = document.createElement('small');
  element.textContent = text;
  return element;
}
