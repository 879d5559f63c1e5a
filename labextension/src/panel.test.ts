import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** As much of an element as the panel uses. */
class Element {
  readonly classList = { toggle: () => undefined };
  readonly dataset: Record<string, string> = {};
  readonly listeners = new Map<string, () => void>();
  children: Element[] = [];

  constructor(readonly tag: string) {}

  parent: Element | null = null;

  append = (...children: (Element | string)[]): void => {
    for (const child of children) {
      if (child instanceof Element) {
        child.parent = this;
        this.children.push(child);
      }
    }
  };

  replaceChildren = (...children: Element[]): void => {
    if (this.all().some(element => element === page.activeElement)) {
      page.activeElement = null;
    }
    this.children = [];
    this.append(...children);
  };

  all = (): Element[] => this.children.flatMap(child => [child, ...child.all()]);
  closest = (): Element | null => (this.dataset.model ? this : (this.parent?.closest() ?? null));
  createTHead = (): Element => new Element('thead');
  setAttribute = (): void => undefined;
  addEventListener = (kind: string, listener: () => void): void => void this.listeners.set(kind, listener);

  /** By a tag, or by one of its data. */
  querySelector = (selector: string): Element | null => {
    const [, name, value] = /^\[data-(\w+)="(.*)"\]$/.exec(selector) ?? [];
    return this.all().find(one => (name ? one.dataset[name] === value : one.tag === selector)) ?? null;
  };

  focus(): void {
    page.activeElement?.listeners.get('focusout')?.();
    page.activeElement = this;
  }
}

const page = vi.hoisted(() => ({
  activeElement: null as Element | null,
  createElement: (tag: string): unknown => new Element(tag)
}));

vi.mock('@jupyterlab/apputils', () => ({
  Dialog: { cancelButton: () => ({}), warnButton: () => ({}) },
  showDialog: () => Promise.resolve({ button: { accept: true } })
}));
vi.mock('@jupyterlab/ui-components', () => ({ LabIcon: vi.fn() }));
vi.mock('@lumino/widgets', () => ({
  Widget: class {
    readonly node = new Element('div');
    readonly title = {};
    isDisposed = false;
    addClass = (): void => undefined;

    onActivateRequest(): void {
      return;
    }

    onAfterShow(): void {
      return;
    }
  }
}));
vi.mock('./modelrow', () => ({
  button: () => new Element('button'),
  modelRow: (_: unknown, model: IModel, actions: IActions) => {
    const row = new Element('tr');
    row.dataset.model = model.name;
    if (!model.selected || model.stored) {
      const button = new Element('button');
      button.dataset.key = `${model.stored ? 'remove' : 'pull'}:${model.name}`;
      button.listeners.set('click', () => actions.remove(model));
      row.append(button);
    }
    return row;
  },
  titles: () => []
}));

import { Availability } from './availability';
import type { IModelClient } from './client';
import type { Downloads } from './downloads';
import type { IActions } from './modelrow';
import { ModelPanel } from './panel';
import type { IModel } from './wire';

let models: IModel[];

const model = (name: string, more: Partial<IModel> = {}) =>
  ({ name, spec: name, verdict: 'runs', ...more }) as IModel;

function open(more: Partial<IModelClient> = {}): ModelPanel {
  return new ModelPanel(
    { inPage: true, models: () => Promise.resolve(models), ...more } as unknown as IModelClient,
    new Availability(() => new Promise(() => undefined)),
    { failureOf: () => undefined } as unknown as Downloads,
    nullTranslator.load('jupyter_turbopilot')
  );
}

beforeEach(() => {
  page.activeElement = null;
  vi.stubGlobal('document', page);
  vi.stubGlobal('CSS', { escape: (text: string) => text });
  vi.stubGlobal('window', { setTimeout: () => 0, clearTimeout: () => undefined });
});

afterEach(() => vi.unstubAllGlobals());

describe('the focus in the models panel', () => {
  let panel: ModelPanel;

  beforeEach(() => {
    models = [model('small')];
    panel = open();
  });

  const activate = () => (panel as unknown as { onActivateRequest(): void }).onActivateRequest();
  const focused = () => page.activeElement?.tag;

  it('goes to the first button once that is there, where the panel was activated before', async () => {
    activate();
    expect(page.activeElement).toBe(panel.node);
    await panel.refresh();
    expect(focused()).toBe('button');
  });

  it('goes to the first button at once where that is there', async () => {
    await panel.refresh();
    expect(focused()).toBeUndefined();
    activate();
    expect(focused()).toBe('button');
  });

  it('stays where a click beside the buttons has put it', async () => {
    activate();
    await panel.refresh();
    panel.node.focus();
    await panel.refresh();
    expect(page.activeElement).toBe(panel.node);
  });

  it('is not waited for any more by a panel that it has left', async () => {
    models = [];
    activate();
    await panel.refresh();
    new Element('input').focus();
    models = [model('small')];
    panel.node.focus();
    await panel.refresh();
    expect(page.activeElement).toBe(panel.node);
  });
});

describe('the rows of the models panel', () => {
  let panel: ModelPanel;
  let body: Element;

  const names = () => body.children.map(({ dataset }) => dataset.model);

  beforeEach(() => {
    panel = open();
    body = (panel as unknown as { _body: Element })._body;
  });

  it('keep their places while the panel is shown', async () => {
    models = [model('used', { selected: true, stored: true }), model('large', { size: 2 }), model('small')];
    await panel.refresh();
    expect(names()).toEqual(['used', 'large', 'small']);
    models = [
      model('used', { stored: true }),
      model('large', { size: 2 }),
      model('small', { selected: true })
    ];
    await panel.refresh();
    expect(names()).toEqual(['used', 'large', 'small']);
    (panel as unknown as { onAfterShow(): void }).onAfterShow();
    await vi.waitFor(() => expect(names()).toEqual(['small', 'used', 'large']));
  });

  it('are made anew only where something has changed', async () => {
    models = [model('small')];
    await panel.refresh();
    const [row] = body.children;
    await panel.refresh();
    expect(body.children[0]).toBe(row);
    models = [model('small', { stored: true })];
    await panel.refresh();
    expect(body.children[0]).not.toBe(row);
  });

  it('keep the focus: on the same button, else on the row, else on the panel', async () => {
    models = [model('small')];
    await panel.refresh();
    body.querySelector('button')?.focus();
    models = [model('small', { licence: 'MIT' })];
    await panel.refresh();
    expect(page.activeElement?.dataset.key).toBe('pull:small');
    models = [model('small', { selected: true })];
    await panel.refresh();
    expect(page.activeElement).toBe(body.children[0]);
    models = [];
    await panel.refresh();
    expect(page.activeElement).toBe(panel.node);
  });

  it('have the focus after a dialog during which they were made anew', async () => {
    models = [model('small', { stored: true })];
    await panel.refresh();
    const button = body.querySelector('button');
    button?.focus();
    models = [model('small', { stored: true, licence: 'MIT' })];
    page.activeElement = new Element('dialog');
    await panel.refresh();
    page.activeElement = null; // the button is no longer in the page
    button?.listeners.get('click')?.();
    await vi.waitFor(() => expect(page.activeElement).toBe(body.querySelector('button')));
  });
});

describe('a model that is removed in the models panel', () => {
  it.each([
    [true, '6 MB freed. Download small to use it again.'],
    [false, '6 MB freed.']
  ])('is to be downloaded to be used again where it was in use: %s', async (selected, words) => {
    const remove = vi.fn(() => Promise.resolve(6_000_000));
    models = [model('small', { stored: true, selected })];
    const panel = open({ remove });
    await panel.refresh();
    const parts = panel as unknown as { _body: Element; _said: { textContent: string } };
    parts._body.querySelector('button')?.listeners.get('click')?.();
    await vi.waitFor(() => expect(parts._said.textContent).toBe(words));
  });
});
