import { readFileSync } from 'node:fs';
import { nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addCommands, CommandIDs, fillPalette, type ICommandParts } from './commands';
import { DEFAULTS } from './settings';

const copied: string[] = [];
const dialogs: object[] = [];
vi.mock('@jupyterlab/apputils', () => ({
  Clipboard: { copyToSystem: (text: string) => copied.push(text) },
  Dialog: { okButton: () => 'OK' },
  Notification: {},
  showDialog: (dialog: object) => void dialogs.push(dialog)
}));

const OURS = Object.values(CommandIDs).sort();

/** The registered commands, with components that log their calls. */
function bench() {
  const log: string[] = [];
  const note = (what: string) => () => void log.push(what);
  const options = new Map<string, CommandRegistry.ICommandOptions>();
  const commands = {
    addCommand: (id: string, option: CommandRegistry.ICommandOptions) => options.set(id, option),
    execute: (id: string) => void options.get(id)?.execute({}),
    isToggled: (id: string) => options.get(id)?.isToggled?.({}) ?? false,
    notifyCommandChanged: (id?: string) => log.push(`changed ${id ?? 'all'}`)
  } as unknown as CommandRegistry;
  const completers = {
    active: undefined as unknown,
    dismiss: () => {
      log.push('dismiss');
      completers.active = undefined;
    }
  };
  const page = {
    path: null as string | null,
    notebook: null as unknown,
    editor: null as unknown,
    invoke: note('invoke'),
    accept: note('accept'),
    completers
  };
  const preferences = {
    current: DEFAULTS,
    changed: new Signal<object, unknown>({}),
    change: (change: object) => log.push(`set ${JSON.stringify(change)}`)
  };
  const provider = {
    stopped: false,
    stop: () => {
      provider.stopped = true;
      log.push('stop');
    },
    resume: () => {
      provider.stopped = false;
      log.push('resume');
    },
    paused: new Set<string>(),
    declined: { connect: () => undefined, emit: (reason: string) => log.push(`decline ${reason}`) },
    cancelAll: note('cancel all'),
    dismiss: (text: string) => log.push(`not wanted: ${text}`)
  };
  const availability = {
    state: { health: null as unknown },
    changed: new Signal<object, unknown>({}),
    check: () => Promise.resolve()
  };
  const status = {
    changed: new Signal<object, unknown>({}),
    update: note('update'),
    current: { condition: 'failed', model: 'small', address: '', fixes: '', reason: '' }
  };
  addCommands(commands, {
    trans: nullTranslator.load('jupyter_turbopilot'),
    page,
    provider,
    alternatives: { cancel: note('cancel alternatives') },
    offers: { removeDisallowed: note('remove disallowed offers'), changed: new Signal<object, unknown>({}) },
    acceptor: { acceptPart: (part: (text: string) => string) => log.push(part('a b\nc')) },
    preferences,
    availability,
    status,
    notice: { withdraw: note('withdraw notice'), brief: (message: string) => log.push(message) }
  } as unknown as ICommandParts);
  const run = (id: string) => void options.get(id)?.execute({});
  const is = (id: string, what: 'isEnabled' | 'isToggled') => options.get(id)?.[what]?.({});
  return { options, page, preferences, completers, availability, status, log, run, is };
}

describe('addCommands', () => {
  let parts: ReturnType<typeof bench>;
  beforeEach(() => void (parts = bench()));

  it('adds all commands, and fillPalette lists them', () => {
    expect([...parts.options.keys()].sort()).toEqual(OURS);
    const shown: string[] = [];
    fillPalette({ addItem: ({ command }: { command: string }) => shown.push(command) } as never);
    expect(shown.sort()).toEqual(OURS);
  });

  it.each([CommandIDs.chooseModel, CommandIDs.statistics])(
    'names %s alike in the menu and the palette',
    id => {
      const label = parts.options.get(id)?.label as (args: object) => string;
      expect(label({ palette: true })).toBe(`Turbopilot ${label({})}`);
    }
  );

  it('has an entry for the reason in the menu of the status item while there is one', () => {
    const { isVisible } = parts.options.get(CommandIDs.status) ?? {};
    const isShown = (args: object) => isVisible?.(args as never);
    expect([isShown({}), isShown({ details: true })]).toEqual([true, false]);
    parts.status.current.reason = 'The server cannot be reached.';
    expect(isShown({ details: true })).toBe(true);
  });

  it('shows a status briefly, and its reason in a dialog, which has room for it', async () => {
    parts.run(CommandIDs.status);
    await Promise.resolve();
    expect([parts.log, dialogs]).toEqual([['Turbopilot: error · small'], []]);
    parts.status.current.reason = 'The server cannot be reached.';
    parts.run(CommandIDs.status);
    await Promise.resolve();
    expect(dialogs).toEqual([
      { title: 'Turbopilot: error · small', body: 'The server cannot be reached.', buttons: ['OK'] }
    ]);
  });

  it('adds the commands that the schema uses in shortcuts and menus', () => {
    const named = readFileSync('schema/plugin.json', 'utf8').matchAll(/"command": "(turbopilot:[^"]+)"/g);
    const names = Array.from(named, ([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    names.forEach(name => expect(OURS).toContain(name));
  });

  it('toggles suggestions and updates the commands when the settings change', () => {
    expect(parts.is(CommandIDs.toggle, 'isToggled')).toBe(false);
    parts.run(CommandIDs.toggle);
    parts.preferences.changed.emit(null);
    parts.status.changed.emit(null);
    expect(parts.log).toEqual([
      'set {"enabled":false}',
      'remove disallowed offers',
      'changed all',
      `changed ${CommandIDs.status}`
    ]);
  });

  it('cancels all requests and removes the suggestion when suggestions are disabled or paused', () => {
    const cleared = ['cancel all', 'cancel alternatives', 'dismiss'];
    parts.preferences.current = { ...DEFAULTS, enabled: false };
    parts.preferences.changed.emit(null);
    expect(parts.log).toEqual(['remove disallowed offers', ...cleared, 'changed all']);
    parts.log.length = 0;
    parts.preferences.current = DEFAULTS;
    parts.preferences.changed.emit(null);
    parts.preferences.changed.emit(null);
    expect(parts.log).toEqual([
      'remove disallowed offers',
      'withdraw notice',
      'changed all',
      'remove disallowed offers',
      'changed all'
    ]);
    parts.log.length = 0;
    parts.page.path = 'a.py';
    parts.run(CommandIDs.pause);
    expect(parts.log).toEqual([...cleared, 'remove disallowed offers', 'withdraw notice', 'update']);
  });

  it('copies the command that installs the engine', () => {
    expect(parts.is(CommandIDs.copyInstallCommand, 'isEnabled')).toBe(false);
    parts.availability.state.health = { command: 'pip install it' };
    expect(parts.is(CommandIDs.copyInstallCommand, 'isEnabled')).toBe(true);
    parts.run(CommandIDs.copyInstallCommand);
    expect(copied).toEqual(['pip install it']);
    expect(parts.log).toEqual(['Command copied']);
  });

  it('requests a suggestion or reports why there is none', () => {
    const end = { line: 0, column: 1 };
    const editor = (column: number) => ({
      focus: () => parts.log.push('focus'),
      getSelections: () => [{ start: { line: 0, column }, end }]
    });
    parts.run(CommandIDs.invoke);
    parts.page.editor = editor(0);
    parts.run(CommandIDs.invoke);
    parts.page.editor = editor(1);
    parts.run(CommandIDs.invoke);
    expect(parts.log).toEqual(['decline nowhere', 'focus', 'decline selection', 'focus', 'invoke']);
  });

  it('enables the accept and dismiss commands while a suggestion is shown', () => {
    const taking = [CommandIDs.accept, CommandIDs.acceptWord, CommandIDs.acceptLine, CommandIDs.dismiss];
    expect(taking.map(id => parts.is(id, 'isEnabled'))).toEqual([false, false, false, false]);
    parts.completers.active = { current: { insertText: 'values' } };
    expect(taking.map(id => parts.is(id, 'isEnabled'))).toEqual([true, true, true, true]);
    taking.forEach(id => parts.run(id));
    const dismissed = ['dismiss', 'not wanted: values', 'cancel alternatives'];
    expect(parts.log).toEqual(['accept', 'a', 'a b', ...dismissed]);
  });

  it('stops everything at once until it is resumed', () => {
    expect(parts.is(CommandIDs.turnOn, 'isEnabled')).toBe(false);
    parts.run(CommandIDs.stop);
    expect(parts.is(CommandIDs.stop, 'isToggled')).toBe(true);
    expect(parts.is(CommandIDs.turnOn, 'isEnabled')).toBe(true);
    parts.run(CommandIDs.turnOn);
    expect(parts.is(CommandIDs.stop, 'isToggled')).toBe(false);
    const updated = ['withdraw notice', 'update', `changed ${CommandIDs.stop}`];
    expect(parts.log).toEqual([
      'stop',
      'cancel alternatives',
      'remove disallowed offers',
      'dismiss',
      ...updated,
      'resume',
      ...updated
    ]);
  });

  it('turns on what the user turned off, and a notebook only if nothing else is off', () => {
    const metadata = new Map<string, unknown>([['turbopilot', { enabled: false }]]);
    parts.page.path = 'a.ipynb';
    parts.page.notebook = {
      getMetadata: (key: string) => metadata.get(key),
      setMetadata: (key: string, value: unknown) => void metadata.set(key, value),
      deleteMetadata: (key: string) => void metadata.delete(key)
    };
    parts.run(CommandIDs.stop);
    parts.run(CommandIDs.pause);
    parts.run(CommandIDs.turnOn);
    expect(parts.is(CommandIDs.stop, 'isToggled')).toBe(false);
    expect(parts.is(CommandIDs.pause, 'isToggled')).toBe(false);
    expect(metadata.get('turbopilot')).toEqual({ enabled: false });
    parts.run(CommandIDs.turnOn);
    expect(metadata.get('turbopilot')).toBeUndefined();
    expect(parts.is(CommandIDs.turnOn, 'isEnabled')).toBe(false);
  });

  it('disables suggestions in the current notebook and enables them again', () => {
    expect(parts.is(CommandIDs.disableInNotebook, 'isEnabled')).toBe(false);
    const metadata = new Map<string, unknown>();
    parts.page.notebook = {
      getMetadata: (key: string) => metadata.get(key),
      setMetadata: (key: string, value: unknown) => void metadata.set(key, value),
      deleteMetadata: (key: string) => void metadata.delete(key)
    };
    for (const disabled of [true, false]) {
      parts.run(CommandIDs.disableInNotebook);
      expect(parts.is(CommandIDs.disableInNotebook, 'isToggled')).toBe(disabled);
      expect(metadata.get('turbopilot')).toEqual(disabled ? { enabled: false } : undefined);
    }
  });
});
