/** The content of the models panel: where they run, and for each a row with its properties, state and buttons. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IEngineHealth } from './client';
import { describeStep, downloadLabel } from './downloads';
import { button, element } from './elements';
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

/** Tokens per second below which a model is slow, and from which it is fast. */
const SLOW = 12;
const FAST = 30;

/** Why a row is hidden at first: the model is too large or slow for this machine, or its benefit was not measured. */
export type Hidden = 'unsuitable' | 'unmeasured';

/** Return why a model's row is hidden at first, or null. */
export function hiddenAs(model: IModel): Hidden | null {
  const { stored, selected, pulling, damaged, verdict, saved } = model;
  if (stored || selected || pulling || damaged || verdict === 'recommended') {
    return null;
  }
  if (verdict !== undefined && verdict !== 'runs') {
    return 'unsuitable';
  }
  return saved === null ? 'unmeasured' : null;
}

/**
 * Sort models: selected, default (the server lists it first), recommended, stored, downloading, others, hidden; larger models
 * first within a group.
 */
export function ordered(models: readonly IModel[]): IModel[] {
  const rank = (model: IModel): number =>
    [
      model.selected,
      model === models[0],
      model.verdict === 'recommended',
      model.stored,
      model.pulling,
      hiddenAs(model) === null,
      true
    ].indexOf(true);
  return [...models].sort((a, b) => rank(a) - rank(b) || (b.size ?? 0) - (a.size ?? 0));
}

/** Describe where the models run; empty: no engine has responded. */
export function describeHost(trans: TranslationBundle, health: IEngineHealth | null): string {
  if (!health) {
    return '';
  }
  if (health.inPage) {
    return trans.__(
      'The model runs in your browser, which stores its file. Your code does not leave this page.'
    );
  }
  return health.address
    ? trans.__('The model runs on %1, where it is also selected. Your code is sent there.', health.address)
    : trans.__('The model runs in your Jupyter server. Values marked ~ are estimates for this machine.');
}

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
        model.tokens_per_second ? trans.__('%1 tokens per second', tokenSpeed(model.tokens_per_second)) : ''
    ],
    [trans.__('Keystrokes saved'), model => describeSaved(trans, model.saved)]
  ];
  return [
    [trans.__('Size'), model => describeSize(model.size, model.exact_size)],
    ...(inPage ? [] : estimates),
    [trans.__('Licence'), model => model.licence]
  ];
}

/** Format an estimated speed in tokens per second. */
export function tokenSpeed(tokens: number): string {
  return tokens < 1 ? '<1' : `~${Math.round(tokens)}`;
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
  const row = element('tr');
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
  const cell = element('th');
  cell.scope = 'row';
  cell.append(model.name, element('small', '', describeNotes(trans, model)));
  return cell;
}

/** Return the quiet line below a model's name. */
export function describeNotes(trans: TranslationBundle, model: IModel): string {
  return [
    model.verdict === 'recommended' ? trans.__('Recommended') : '',
    model.use,
    describeTuning(trans, model),
    model.copying ? trans.__('Making a faster copy in the background') : '',
    model.fim === 'none' ? trans.__('Ignores text after the cursor') : '',
    model.gpu_offer
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Describe a model's adapters and whether they are enabled. */
function describeTuning(trans: TranslationBundle, model: IModel): string {
  const names = (model.adapters ?? []).map(adapter =>
    adapter.bundled ? trans.__('notebooks') : adapter.name
  );
  if (!names.length) {
    return '';
  }
  const listed = names.join(', ');
  return model.adapters_enabled ? trans.__('Tuned: %1', listed) : trans.__('Tuning off: %1', listed);
}

function stateCell(trans: TranslationBundle, model: IModel, actions: IActions): HTMLTableCellElement {
  const cell = element('td');
  const addButton = (label: string, key: string, action: () => void, parent: HTMLElement = cell): void => {
    const made = button(label, 'button');
    made.dataset.key = `${key}:${model.name}`;
    made.setAttribute('aria-label', `${label}: ${model.name}`);
    made.addEventListener('click', action);
    parent.append(made);
  };
  if (model.pulling) {
    cell.append(progressBar(trans, model));
    cell.append(element('small', '', model.progress ? describeStep(trans, model.name, model.progress) : ''));
    addButton(trans.__('Stop'), 'stop', () => actions.stop(model));
  } else if (model.selected && model.stored) {
    cell.append(`${trans.__('In use')} `);
    if (model.adapters?.length) {
      const menu = element('details');
      const summary = element('summary', '', trans.__('More'));
      summary.setAttribute('aria-label', trans.__('More: %1', model.name));
      // The same key as its button: the menu gets the focus when the row is rebuilt.
      summary.dataset.key = `tune:${model.name}`;
      menu.append(summary);
      cell.append(menu);
      addButton(
        model.adapters_enabled ? trans.__('Use Without Tuning') : trans.__('Use With Tuning'),
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
      cell.append(element('small', 'jp-mod-error', trans.__('The download failed. %1', model.failed)));
    }
    if (model.failed && model.mirror && !model.mirror_only) {
      addButton(trans.__('Use Mirror'), 'mirror', () => actions.download(model, true));
    }
    if (model.damaged && model.removable !== false) {
      addButton(trans.__('Remove'), 'remove', () => actions.remove(model));
    }
    if (model.verdict === 'too large' || model.verdict === 'slow') {
      cell.append(
        element(
          'small',
          '',
          model.verdict === 'slow' ? trans.__('Slow on this machine') : trans.__('Not enough memory')
        )
      );
    }
  }
  return cell;
}

function progressBar(trans: TranslationBundle, { name, progress }: IModel): HTMLProgressElement {
  const bar = element('progress');
  bar.setAttribute('aria-label', trans.__('Downloading %1', name));
  if (progress?.total) {
    bar.max = progress.total;
    bar.value = progress.received ?? 0;
  }
  return bar;
}
