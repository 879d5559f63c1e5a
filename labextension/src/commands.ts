/** The commands, the menu of the status item, and the palette entries. */

import { Clipboard, Dialog, type ICommandPalette, showDialog } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';
import type { Menu } from '@lumino/widgets';
import type { IParts } from './components';
import type { Offers } from './fixes/offers';
import { hasSelectedText } from './editor';
import { DISABLED } from './requesterror';
import { describeStatus, type Status } from './status';
import { firstLine, firstWord } from './suggestion';
import { showStatistics } from './statistics';
import { describeUsageLog, showUsageLog } from './usagelog';
import { type Explained, switchOf, toggleSwitch } from './decline';
import { describeDecline, describeIndex } from './messages';

export namespace CommandIDs {
  export const turnOn = 'turbopilot:turn-on';
  export const toggle = 'turbopilot:toggle';
  export const pause = 'turbopilot:pause';
  export const disableInNotebook = 'turbopilot:disable-in-notebook';
  export const stop = 'turbopilot:stop';
  export const invoke = 'turbopilot:invoke';
  export const next = 'turbopilot:next';
  export const previous = 'turbopilot:previous';
  export const accept = 'turbopilot:accept';
  export const acceptWord = 'turbopilot:accept-word';
  export const acceptLine = 'turbopilot:accept-line';
  export const dismiss = 'turbopilot:dismiss';
  export const applyFix = 'turbopilot:apply-fix';
  export const applyAll = 'turbopilot:apply-all';
  export const dismissFix = 'turbopilot:dismiss-fix';
  export const chooseModel = 'turbopilot:choose-model';
  export const openSettings = 'turbopilot:open-settings';
  export const copyInstallCommand = 'turbopilot:copy-install-command';
  export const notebookIndex = 'turbopilot:notebook-index';
  export const deleteIndex = 'turbopilot:delete-index';
  export const statistics = 'turbopilot:statistics';
  export const usageLog = 'turbopilot:usage-log';
  export const status = 'turbopilot:status';
}

/** The submenu “Turn Off”. */
const OFF_SWITCHES = [CommandIDs.toggle, CommandIDs.stop, CommandIDs.pause, CommandIDs.disableInNotebook];

/** The switches that decline a request; “Turn On” undoes them. */
const SWITCH_OF: ReadonlyMap<Explained, string> = new Map([
  ['off', CommandIDs.toggle],
  ['stopped', CommandIDs.stop],
  ['paused', CommandIDs.pause],
  ['disabled in notebook', CommandIDs.disableInNotebook],
  ['invalid metadata', CommandIDs.disableInNotebook]
]);

/** Return a label that differs in the palette, where nothing stands around it. */
function labels(inPalette: string, elsewhere: string) {
  return ({ palette }: { palette?: unknown }): string => (palette ? inPalette : elsewhere);
}

/** Show and enable a command only under a condition. */
function onlyIf(condition: () => boolean) {
  return { isVisible: condition, isEnabled: condition };
}

/** The components that the commands use. */
export type ICommandParts = IParts & { offers: Offers; status: Status; openModels: () => void };

export function addCommands(commands: CommandRegistry, parts: ICommandParts): void {
  addSwitches(commands, parts);
  addTurningOn(commands, parts);
  addNotebookIndex(commands, parts);
  addSuggesting(commands, parts);
  addAccepting(commands, parts);
  addFixes(commands, parts);
  addInformation(commands, parts);
  parts.preferences.changed.connect(() => commands.notifyCommandChanged());
  parts.availability.changed.connect(() => {
    const { notebookIndex, deleteIndex, usageLog, chooseModel, copyInstallCommand } = CommandIDs;
    for (const id of [notebookIndex, deleteIndex, usageLog, chooseModel, copyInstallCommand]) {
      commands.notifyCommandChanged(id);
    }
  });
  parts.status.changed.connect(() => commands.notifyCommandChanged(CommandIDs.status));
}

/** Fill the menu of the status item, and its submenu “Turn Off”. */
export function fillMenu(menu: Menu, off: Menu): void {
  for (const command of OFF_SWITCHES) {
    off.addItem({ command });
  }
  menu.addItem({ command: CommandIDs.status, args: { details: true } });
  for (const command of [CommandIDs.copyInstallCommand, CommandIDs.usageLog, CommandIDs.turnOn]) {
    menu.addItem({ command });
  }
  menu.addItem({ type: 'submenu', submenu: off });
  const { notebookIndex, chooseModel, statistics, openSettings } = CommandIDs;
  for (const command of [notebookIndex, chooseModel, statistics, openSettings]) {
    menu.addItem({ command });
  }
}

export function fillPalette(palette: ICommandPalette): void {
  for (const command of Object.values(CommandIDs)) {
    palette.addItem({ command, category: 'Turbopilot', args: { palette: true } });
  }
}

/** Cancel all requests, so that no late response is shown, and remove the shown suggestion. */
export function clearSuggestions({
  provider,
  alternatives,
  page
}: Pick<IParts, 'provider' | 'alternatives' | 'page'>): void {
  provider.cancelAll();
  alternatives.cancel();
  page.completers.dismiss();
}

/** Enable or disable suggestions, globally or in one document, or stop them at once. */
function addSwitches(commands: CommandRegistry, parts: ICommandParts): void {
  const { trans, page, provider, alternatives, offers, preferences, status, notice } = parts;
  let before = preferences.current;
  preferences.changed.connect(() => {
    const { current } = preferences;
    offers.removeDisallowed();
    if (!current.enabled || (before.notebookIndex && !current.notebookIndex)) {
      clearSuggestions(parts); // the shown suggestion may come from the index
    } else if (!before.enabled) {
      notice.withdraw(); // it says that suggestions are disabled
    }
    before = current;
  });
  commands.addCommand(CommandIDs.toggle, {
    label: labels(trans.__('Turn Off Everywhere (Saved)'), trans.__('Everywhere (Saved)')),
    isToggleable: true,
    isToggled: () => !preferences.current.enabled,
    execute: () => preferences.change({ enabled: !preferences.current.enabled })
  });
  commands.addCommand(CommandIDs.pause, {
    label: labels(trans.__('Turn Off in This Document Until Reload'), trans.__('This Document Until Reload')),
    isEnabled: () => page.path !== null,
    isToggleable: true,
    isToggled: () => provider.paused.has(page.path ?? ''),
    execute: () => {
      const { path } = page;
      if (path !== null && !provider.paused.delete(path)) {
        provider.paused.add(path);
        clearSuggestions(parts);
        offers.removeDisallowed();
      }
      notice.withdraw();
      status.update();
    }
  });
  commands.addCommand(CommandIDs.disableInNotebook, {
    label: labels(trans.__('Turn Off in This Notebook (Saved)'), trans.__('This Notebook (Saved)')),
    caption: trans.__('Saved with the notebook, for everyone who opens it'),
    isEnabled: () => page.notebook !== null,
    isToggleable: true,
    isToggled: () => switchOf(page.notebook) !== 'enabled',
    execute: () => {
      if (page.notebook) {
        toggleSwitch(page.notebook);
        notice.withdraw();
      }
    }
  });
  commands.addCommand(CommandIDs.stop, {
    label: labels(trans.__('Turn Off Everywhere Until Reload'), trans.__('Everywhere Until Reload')),
    isToggleable: true,
    isToggled: () => provider.stopped,
    execute: () => {
      if (provider.stopped) {
        provider.resume();
      } else {
        provider.stop();
        alternatives.cancel();
        offers.removeDisallowed();
        page.completers.dismiss();
      }
      notice.withdraw();
      status.update();
      commands.notifyCommandChanged(CommandIDs.stop);
    }
  });
}

/** Undo the switches that turn suggestions off here; the notebook's own, which its other readers share, only alone. */
function addTurningOn(commands: CommandRegistry, { trans }: ICommandParts): void {
  const activeSwitches = (): string[] => {
    const active = OFF_SWITCHES.filter(id => commands.isToggled(id));
    const ofUser = active.filter(id => id !== CommandIDs.disableInNotebook);
    return ofUser.length > 0 ? ofUser : active;
  };
  commands.addCommand(CommandIDs.turnOn, {
    label: labels(trans.__('Turn On Suggestions'), trans.__('Turn On')),
    ...onlyIf(() => activeSwitches().length > 0),
    execute: async () => {
      // All at once: while a setting is saved, the user may open another document.
      const running = activeSwitches().map(async id => {
        await commands.execute(id);
      });
      await Promise.all(running);
    }
  });
}

/** Enable, disable or delete the notebook index. */
function addNotebookIndex(
  commands: CommandRegistry,
  { trans, availability, preferences, notebookIndex }: ICommandParts
): void {
  const hasIndex = () => notebookIndex.state !== null;
  const isVisible = () => !availability.state.health?.inPage;
  commands.addCommand(CommandIDs.notebookIndex, {
    label: trans.__('Suggest From My Notebooks'),
    caption: () => {
      const { state } = notebookIndex;
      return [describeIndex(trans, state), state?.path].filter(Boolean).join('\n');
    },
    isEnabled: hasIndex,
    isVisible,
    isToggleable: true,
    isToggled: () => notebookIndex.isUsed && hasIndex(),
    execute: () => preferences.change({ notebookIndex: !notebookIndex.isUsed })
  });
  commands.addCommand(CommandIDs.deleteIndex, {
    label: labels(trans.__('Delete Notebook Index…'), trans.__('Delete Index…')),
    isEnabled: hasIndex,
    isVisible,
    execute: () => notebookIndex.confirmDeletion()
  });
}

/** Request a suggestion, and switch between alternatives. */
function addSuggesting(commands: CommandRegistry, parts: ICommandParts): void {
  const { trans, page, provider, availability, notice } = parts;
  provider.declined.connect((_, decline) => {
    const message = `Turbopilot: ${describeDecline(trans, decline, availability.state.error)}`;
    if (decline === 'nothing') {
      notice.untilKey(message);
    } else {
      const id = SWITCH_OF.get(decline);
      const undo = () => id !== undefined && commands.isToggled(id) && void commands.execute(id);
      notice.brief(message, id ? [{ label: trans.__('Turn On'), callback: undo }] : []);
    }
  });
  const delegate = (id: string, label: string, command: string): void => {
    const isEnabled = () => commands.isEnabled(command);
    commands.addCommand(id, { label, describedBy: {}, isEnabled, execute: () => commands.execute(command) });
  };
  commands.addCommand(CommandIDs.invoke, {
    label: trans.__('Suggest Now'),
    execute: () => {
      const { editor } = page;
      if (!editor) {
        provider.declined.emit('nowhere');
        return;
      }
      // The menu or the palette has the focus.
      editor.focus();
      if (hasSelectedText(editor)) {
        // JupyterLab calls no provider while text is selected.
        provider.declined.emit('selection');
        return;
      }
      page.invoke();
    }
  });
  delegate(CommandIDs.next, trans.__('Next Suggestion'), 'inline-completer:next');
  delegate(CommandIDs.previous, trans.__('Previous Suggestion'), 'inline-completer:previous');
}

/** Accept the shown suggestion or a part of it, or dismiss it. */
function addAccepting(commands: CommandRegistry, parts: ICommandParts): void {
  const { trans, page, provider, alternatives, acceptor } = parts;
  const { completers } = page;
  const add = (id: string, label: string, execute: () => void): void => {
    commands.addCommand(id, { label, isEnabled: () => completers.active !== undefined, execute });
  };
  add(CommandIDs.accept, trans.__('Accept Suggestion'), () => page.accept());
  add(CommandIDs.acceptWord, trans.__('Accept Next Word'), () => acceptor.acceptPart(firstWord));
  add(CommandIDs.acceptLine, trans.__('Accept Next Line'), () => acceptor.acceptPart(firstLine));
  add(CommandIDs.dismiss, trans.__('Dismiss Suggestion'), () => {
    const shown = completers.active?.current?.insertText ?? '';
    completers.dismiss();
    provider.dismiss(shown);
    alternatives.cancel();
  });
}

/** Apply or dismiss the newest fix, rename or repeated edit of the notebook. */
function addFixes(commands: CommandRegistry, { trans, page, offers }: ICommandParts): void {
  const current = () => page.notebookView;
  commands.addCommand(CommandIDs.applyFix, {
    label: trans.__('Apply Fix, Rename or Repeated Edit'),
    caption: trans.__(
      'Apply the newest fix or rename in this notebook, or repeat the edit at the next occurrence'
    ),
    isEnabled: () => offers.newestIn(current()) !== undefined,
    execute: () => offers.newestIn(current())?.primary?.()
  });
  commands.addCommand(CommandIDs.applyAll, {
    label: trans.__('Repeat Edit at All Occurrences'),
    caption: trans.__('Make the edit that is offered in this notebook at all occurrences'),
    isEnabled: () => offers.newestIn(current(), 'all') !== undefined,
    execute: () => offers.newestIn(current(), 'all')?.all?.()
  });
  commands.addCommand(CommandIDs.dismissFix, {
    label: trans.__('Dismiss Fix, Rename or Repeated Edit'),
    caption: trans.__('Remove the fix or rename in the active cell, or the repeated edit in this notebook'),
    isEnabled: () => offers.dismissibleIn(current()) !== undefined,
    execute: () => offers.dismissibleIn(current())?.dismiss()
  });
  offers.changed.connect(() => {
    for (const id of [CommandIDs.applyFix, CommandIDs.applyAll, CommandIDs.dismissFix]) {
      commands.notifyCommandChanged(id);
    }
  });
}

/** Models panel, statistics, usage log, settings and status. */
function addInformation(commands: CommandRegistry, parts: ICommandParts): void {
  const { trans, client, availability, status, notice, openModels } = parts;
  commands.addCommand(CommandIDs.chooseModel, {
    label: labels(trans.__('Turbopilot Models…'), trans.__('Models…')),
    ...onlyIf(() => availability.state.health?.code !== DISABLED),
    execute: openModels
  });
  commands.addCommand(CommandIDs.statistics, {
    label: labels(trans.__('Turbopilot Statistics…'), trans.__('Statistics…')),
    ...onlyIf(() => Boolean(availability.state.health?.week)),
    execute: () => showStatistics(client, availability, notice, trans)
  });
  // No setting hides this entry: users must see that they are logged.
  const usageLog = () => availability.state.health?.usage_log ?? null;
  commands.addCommand(CommandIDs.usageLog, {
    label: args => (args.palette ? trans.__('Turbopilot Usage Log…') : describeUsageLog(trans, usageLog())),
    ...onlyIf(() => usageLog() !== null),
    execute: () => showUsageLog(availability, trans)
  });
  commands.addCommand(CommandIDs.openSettings, {
    label: trans.__('Turbopilot Settings'),
    // Notebook 7 has a settings editor only in its file browser.
    ...onlyIf(() => commands.hasCommand('settingeditor:open')),
    execute: () => commands.execute('settingeditor:open', { query: 'Turbopilot' })
  });
  const installs = () => availability.state.health?.command ?? '';
  commands.addCommand(CommandIDs.copyInstallCommand, {
    label: trans.__('Copy Engine Install Command'),
    caption: installs,
    ...onlyIf(() => installs() !== ''),
    execute: () => {
      Clipboard.copyToSystem(installs());
      notice.brief(trans.__('Command copied'));
    }
  });
  commands.addCommand(CommandIDs.status, {
    label: ({ palette, details }) =>
      palette
        ? trans.__('Show Turbopilot Status')
        : details
          ? trans.__('Show Details')
          : describeStatus(trans, status.current),
    // The status item shows the status itself, and the reason only in its tooltip, which needs a mouse.
    isVisible: ({ details }) => !details || status.current.reason !== '',
    execute: async () => {
      await availability.check();
      const { current } = status;
      const title = [describeStatus(trans, current), current.model].filter(Boolean).join(' · ');
      if (current.reason) {
        // JupyterLab cuts a notification after 140 characters.
        await showDialog({ title, body: current.reason, buttons: [Dialog.okButton()] });
      } else {
        notice.brief(title);
      }
    }
  });
}
