import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** As much of an element as the panel uses. */
class Element {
  readonly classList = { toggle: () => undefined };
  readonly dataset: Record<string, string> = {};
  readonly listeners = new Map<string, () => void>();
  children: Element[] = [];

  constructor(readonly tag: string) {}

  append = (...children: Element[]): void => void this.children.push(...children);
  replaceChildren = (...children: Element[]): void => void (this.children = children);
  createTHead = (): Element => new Element('thead');
  setAttribute = (): void => undefined;
  addEventListener = (kind: string, listener: () => void): void => void this.listeners.set(kind, listener);
  querySelector = (): Element | null => this.children[0] ?? null;

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
  }
}));
vi.mock('./modelrow', () => ({
  button: () => new Element('button'),
  modelRow: (_: unknown, model: IModel, __: unknown, actions: IActions) => {
    const row = new Element('button');
    row.listeners.set('remove', () => actions.remove(model));
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

describe('the focus in the models panel', () => {
  let panel: ModelPanel;
  let models: IModel[];

  beforeEach(() => {
    page.activeElement = null;
    vi.stubGlobal('document', page);
    vi.stubGlobal('window', { setTimeout: () => 0, clearTimeout: () => undefined });
    models = [{ name: 'small', spec: 'small', verdict: 'runs' } as IModel];
    panel = new ModelPanel(
      { inPage: true, models: () => Promise.resolve(models) } as unknown as IModelClient,
      new Availability(() => new Promise(() => undefined)),
      { failureOf: () => undefined } as unknown as Downloads,
      nullTranslator.load('jupyter_turbopilot')
    );
  });

  afterEach(() => vi.unstubAllGlobals());

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
    models = [{ name: 'small', spec: 'small', verdict: 'runs' } as IModel];
    panel.node.focus();
    await panel.refresh();
    expect(page.activeElement).toBe(panel.node);
  });
});

describe('a model that is removed in the models panel', () => {
  beforeEach(() => {
    vi.stubGlobal('document', page);
    vi.stubGlobal('window', { setTimeout: () => 0, clearTimeout: () => undefined });
  });
  afterEach(() => vi.unstubAllGlobals());

  it.each([
    [true, '6 MB freed. Download small to use it again.'],
    [false, '6 MB freed.']
  ])('is to be downloaded to be used again where it was in use: %s', async (selected, words) => {
    const remove = vi.fn(() => Promise.resolve(6_000_000));
    const models = [{ name: 'small', spec: 'small', verdict: 'runs', stored: true, selected } as IModel];
    const panel = new ModelPanel(
      { inPage: true, models: () => Promise.resolve(models), remove } as unknown as IModelClient,
      new Availability(() => new Promise(() => undefined)),
      { failureOf: () => undefined } as unknown as Downloads,
      nullTranslator.load('jupyter_turbopilot')
    );
    await panel.refresh();
    const parts = panel as unknown as { _body: Element; _said: { textContent: string } };
    parts._body.children[0].listeners.get('remove')?.();
    await vi.waitFor(() => expect(parts._said.textContent).toBe(words));
  });
});
