/** The commands, the menu of the status item, and the palette entries. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, type ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { Menu } from '@lumino/widgets';
import type { Acceptor } from './accept';
import type { Alternatives } from './alternatives';
import type { Availability } from './availability';
import type { Completers } from './completers';
import { hasSelectedText } from './editor';

import type { Notice } from './notice';
import type { Page } from './page';
import type { Preferences } from './settings';
import type { Provider } from './provider';
import { describeStatus, type Status } from './status';
import { describeStudy } from './study';

import { describeDecline, describeIndex } from './words';

export namespace CommandIDs {
  export const toggle = 'turbopilot:toggle';
  export const snooze = 'turbopilot:snooze';
  export const invoke = 'turbopilot:invoke';
  export const next = 'turbopilot:next';
  export const previous = 'turbopilot:previous';
  export const accept = 'turbopilot:accept';
  export const acceptWord = 'turbopilot:accept-word';
  export const acceptLine = 'turbopilot:accept-line';
  export const dismiss = 'turbopilot:dismiss';
  export const chooseModel = 'turbopilot:choose-model';
  export const openSettings = 'turbopilot:open-settings';
  export const copyInstallCommand = 'turbopilot:copy-install-command';
  export const memory = 'turbopilot:memory';
  export const learned = 'turbopilot:learned';
  export const study = 'turbopilot:study';
  export const status = 'turbopilot:status';
}

/** The components that the commands use. */
export interface IParts {
  trans: TranslationBundle;
  page: Page;
  completers: Completers;
  provider: Provider;
  alternatives: Alternatives;
  acceptor: Acceptor;
  availability: Availability;
  preferences: Preferences;
  status: Status;
  notice: Notice;
  openModels: () => void;
  showLearned: () => Promise<void>;
  showStudy: () => Promise<void>;
}

export function addCommands(commands: JupyterFrontEnd['commands'], parts: IParts): void {
  addSwitches(commands, parts);
  addMemory(commands, parts);
  addSuggesting(commands, parts);
  addAccepting(commands, parts);
  addInformation(commands, parts);
  parts.preferences.changed.connect(() => commands.notifyCommandChanged());
  parts.availability.changed.connect(() => {
    commands.notifyCommandChanged(CommandIDs.memory);
    commands.notifyCommandChanged(CommandIDs.study);
    commands.notifyCommandChanged(CommandIDs.copyInstallCommand);
  });
  parts.status.changed.connect(() => commands.notifyCommandChanged(CommandIDs.status));
}

/** Fill the menu of the status item. */
export function fillMenu(menu: Menu): void {
  for (const command of [
    CommandIDs.copyInstallCommand,
    CommandIDs.study,
    CommandIDs.toggle,
    CommandIDs.snooze,
    CommandIDs.memory,
    CommandIDs.chooseModel,
    CommandIDs.learned,
    CommandIDs.openSettings
  ]) {
    menu.addItem({ command });
  }
}

export function fillPalette(palette: ICommandPalette): void {
  for (const command of Object.values(CommandIDs)) {
    palette.addItem({ command, category: 'Turbopilot', args: { palette: true } });
  }
}

/** Enable or disable suggestions, globally or in one document. */
function addSwitches(commands: CommandRegistry, parts: IParts): void {
  const { trans, page, provider, preferences, status, notice } = parts;
  const clear = (): void => {
    provider.cancel();
    page.dismiss();
  };
  preferences.changed.connect(() => {
    if (preferences.current.enabled) {
      notice.withdraw();
    } else {
      clear();
    }
  });
  commands.addCommand(CommandIDs.toggle, {
    label: trans.__('Enable Suggestions'),
    isToggleable: true,
    isToggled: () => preferences.current.enabled,
    execute: () => preferences.change({ enabled: !preferences.current.enabled })
  });
  commands.addCommand(CommandIDs.snooze, {
    label: trans.__('Pause in This Document'),
    isEnabled: () => page.path !== null,
    isToggleable: true,
    isToggled: () => provider.snoozed.has(page.path ?? ''),
    execute: () => {
      const { path } = page;
      if (path !== null && !provider.snoozed.delete(path)) {
        provider.snoozed.add(path);
        clear();
      }
      notice.withdraw();
      status.update();
    }
  });
}

/** Enable or disable the notebook index. */
function addMemory(commands: CommandRegistry, { trans, availability, preferences }: IParts): void {
  const kept = () => availability.state.health?.memory ?? null;
  commands.addCommand(CommandIDs.memory, {
    label: trans.__('Suggest From My Notebooks'),
    caption: () => {
      const memory = kept();
      return [describeIndex(trans, memory), memory?.place].filter(Boolean).join('\n');
    },
    isEnabled: () => kept() !== null,
    isVisible: () => !availability.state.health?.inPage,
    isToggleable: true,
    isToggled: () => preferences.current.memory && kept() !== null,
    execute: () => preferences.change({ memory: !preferences.current.memory })
  });
}

/** Request a suggestion, and switch between alternatives. */
function addSuggesting(commands: CommandRegistry, parts: IParts): void {
  const { trans, page, provider, availability, notice } = parts;
  provider.declined.connect((_, decline) => {
    const words = `Turbopilot: ${describeDecline(trans, decline, availability.state.trouble)}`;
    if (decline === 'nothing') {
      notice.untilKey(words);
    } else {
      notice.brief(words);
    }
  });
  const delegate = (label: string, command: string) => ({
    label,
    describedBy: {},
    isEnabled: () => commands.isEnabled(command),
    execute: () => commands.execute(command)
  });
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
  commands.addCommand(CommandIDs.next, delegate(trans.__('Next Suggestion'), 'inline-completer:next'));
  commands.addCommand(
    CommandIDs.previous,
    delegate(trans.__('Previous Suggestion'), 'inline-completer:previous')
  );
}

/** Accept the shown suggestion or a part of it, or dismiss it. */
function addAccepting(commands: CommandRegistry, parts: IParts): void {
  const { trans, page, completers, provider, alternatives, acceptor } = parts;
  const isEnabled = (): boolean => completers.active !== undefined;
  commands.addCommand(CommandIDs.accept, {
    label: trans.__('Accept Suggestion'),
    isEnabled,
    execute: () => page.accept()
  });
  commands.addCommand(CommandIDs.acceptWord, {
    label: trans.__('Accept Next Word'),
    isEnabled,
    execute: () => acceptor.acceptWord()
  });
  commands.addCommand(CommandIDs.acceptLine, {
    label: trans.__('Accept Next Line'),
    isEnabled,
    execute: () => acceptor.acceptLine()
  });
  commands.addCommand(CommandIDs.dismiss, {
    label: trans.__('Dismiss Suggestion'),
    isEnabled,
    execute: () => {
      const shown = completers.active?.current?.insertText ?? '';
      page.dismiss();
      provider.dismiss(shown);
      alternatives.cancel();
    }
  });
}

/** Models panel, statistics, usage log, settings and status. */
function addInformation(commands: CommandRegistry, parts: IParts): void {
  const { trans, availability, status, notice, openModels, showLearned, showStudy } = parts;
  commands.addCommand(CommandIDs.chooseModel, {
    // The palette shows no category beside it.
    label: args => (args.palette ? trans.__('Turbopilot Models…') : trans.__('Models…')),
    execute: openModels
  });
  const week = () => availability.state.health?.week ?? null;
  commands.addCommand(CommandIDs.learned, {
    label: args => (args.palette ? trans.__('Reset Learning…') : trans.__('Acceptance Statistics…')),
    isVisible: () => week() !== null,
    isEnabled: () => week() !== null,
    execute: showLearned
  });
  // No setting hides this entry: users must see that they are logged.
  const study = () => availability.state.health?.study ?? null;
  commands.addCommand(CommandIDs.study, {
    label: args => (args.palette ? trans.__('Turbopilot Usage Log…') : describeStudy(trans, study())),
    isVisible: () => study() !== null,
    isEnabled: () => study() !== null,
    execute: showStudy
  });
  commands.addCommand(CommandIDs.openSettings, {
    label: trans.__('Turbopilot Settings'),
    // Notebook 7 has a settings editor only in its file browser.
    isVisible: () => commands.hasCommand('settingeditor:open'),
    isEnabled: () => commands.hasCommand('settingeditor:open'),
    execute: () => commands.execute('settingeditor:open', { query: 'Turbopilot' })
  });
  const installs = () => availability.state.health?.command ?? '';
  commands.addCommand(CommandIDs.copyInstallCommand, {
    label: trans.__('Copy Install Command'),
    caption: installs,
    isVisible: () => installs() !== '',
    isEnabled: () => installs() !== '',
    execute: () => Clipboard.copyToSystem(installs())
  });
  commands.addCommand(CommandIDs.status, {
    label: args =>
      args.palette ? trans.__('Show Turbopilot Status') : describeStatus(trans, status.current),
    execute: async () => {
      await availability.check();
      const { current } = status;
      const words = [describeStatus(trans, current), current.model, current.reason];
      notice.brief(words.filter(Boolean).join(' · '));
    }
  });
}
