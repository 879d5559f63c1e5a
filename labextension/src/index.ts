/** The plugin: builds the provider, wires commands, settings, status and models to it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { Acceptor } from './accept';
import { Availability } from './availability';
import { Client } from './client';
import { otherDocuments } from './otherdocuments';
import { Models } from './offer';
import { Notice } from './notice';
import { ModelPanel, modelIcon } from './panel';
import { Alternatives, type Decline, type IActivity, Provider } from './provider';
import { readSettings } from './settings';
import { describeStatus, type IStatus, LiveRegion, type Phase, StatusItem } from './status';
import { describeDecline, describeTrouble } from './words';

const PLUGIN_ID = 'jupyter-turbopilot:plugin';
/** A trouble that is over after so many failures is not worth a notification. */
const WORTH_TELLING = 2;
/** After so many failures in a row a request is not repeated by itself: the next key asks. */
const REPEATED = 5;

namespace CommandIDs {
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
  export const status = 'turbopilot:status';
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Ghost text from a model inside the Jupyter server.',
  autoStart: true,
  requires: [ICompletionProviderManager, IInlineCompleterFactory],
  optional: [ISettingRegistry, IStatusBar, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    manager: ICompletionProviderManager,
    factory: IInlineCompleterFactory,
    registry: ISettingRegistry | null,
    statusBar: IStatusBar | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_turbopilot');
    const widgetId = (): string => app.shell.currentWidget?.id ?? '';
    const client = new Client(app.serviceManager.serverSettings);
    const availability = new Availability(
      signal => client.health(signal),
      () => !document.hidden
    );
    const provider = new Provider(
      client,
      availability,
      () => manager.inline?.invoke(widgetId()),
      () => acceptor.dismiss(),
      (path, language) => otherDocuments(app.shell, path, language)
    );
    const alternatives = new Alternatives(provider, client);
    const acceptor = new Acceptor(
      [provider.identifier, alternatives.identifier],
      text => provider.accepted(text),
      editor => {
        provider.watch(editor);
        warm(editor);
      }
    );
    // While the application starts, an editor has the focus before its document is the current one.
    const warm = (editor = acceptor.editorIn(app.shell.currentWidget)): void => {
      if (editor && app.shell.currentWidget) {
        provider.warm(editor, app.shell.currentWidget);
      }
    };
    acceptor.wrap(factory);
    acceptor.claimKeys(app.commands, [CommandIDs.acceptWord, CommandIDs.acceptLine]);
    // Before the application is restored, or no settings would reach them.
    manager.registerInlineProvider(provider);
    manager.registerInlineProvider(alternatives);

    let activity: IActivity = { thinking: false, lastMs: null };
    let settings: ISettingRegistry.ISettings | null = null;
    let panel: MainAreaWidget<ModelPanel> | null = null;
    const notice = new Notice();
    const live = new LiveRegion();

    const path = (): string | null =>
      (app.shell.currentWidget as IDocumentWidget | null)?.context?.path ?? null;

    const phase = (): Phase => {
      const { health, trouble } = availability.state;
      if (!provider.settings.enabled) {
        return 'off';
      }
      if (health?.phase === 'loading') {
        return 'loading';
      }
      if (trouble) {
        return 'failed';
      }
      return provider.snoozed.has(path() ?? '') ? 'snoozed' : activity.thinking ? 'thinking' : 'ready';
    };
    let model = '';
    const current = (): IStatus => {
      const { health, trouble } = availability.state;
      return {
        phase: phase(),
        model,
        lastMs: activity.lastMs,
        reason: trouble ? describeTrouble(trans, trouble) : (health?.notice ?? '')
      };
    };

    const menu = new MenuSvg({ commands: app.commands });
    const status = new StatusItem(trans, menu);
    const show = (): void => {
      const now = current();
      status.show_(now);
      live.status(trans, now);
      app.commands.notifyCommandChanged(CommandIDs.status);
    };

    const models = new Models(client, trans, () => void availability.look());
    availability.changed.connect((_, { before, now }) => {
      const { health, trouble } = now;
      if (health && (health.model !== model || health.phase !== before.health?.phase)) {
        // Another model, chosen here or in another tab, suggests other things.
        model = health.model;
        provider.forget();
        void panel?.content.refresh();
      }
      if (now.failures === 0) {
        notice.forget();
      } else if (!trouble) {
        notice.clear();
      } else if (health?.code === 'model_missing') {
        void models.offer(health.model);
      } else if (now.failures >= WORTH_TELLING) {
        notice.warn(`Turbopilot: ${describeTrouble(trans, trouble)}`);
      }
      if (before.open && !now.open) {
        provider.stall();
      } else if (!before.open && now.open) {
        if (!before.health?.ready) {
          warm();
        }
        if (now.failures <= REPEATED) {
          provider.again();
        }
      }
      show();
    });
    // Looking at once, not at the next turn, when there may be news.
    const look = (): void => {
      if (!document.hidden) {
        void availability.look();
      }
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('online', look);
    window.addEventListener('offline', look);
    app.serviceManager.connectionFailure?.connect(look);

    provider.activity.connect((_, now) => {
      activity = now;
      show();
    });
    const decline = (why: Decline): void =>
      notice.brief(`Turbopilot: ${describeDecline(trans, why, availability.state.trouble)}`);
    provider.declined.connect((_, why) => decline(why));
    provider.appeared.connect((_, text) => {
      if (provider.settings.announce) {
        live.say(trans.__('Suggestion: %1', text));
      }
    });
    NotebookActions.executed.connect(() => provider.forget());
    app.shell.currentChanged?.connect(() => {
      provider.documentChanged();
      warm();
      show();
    });

    if (statusBar) {
      statusBar.registerStatusItem(PLUGIN_ID, {
        item: status,
        align: 'right',
        rank: 50,
        // Shown in a narrow window too.
        priority: 1
      });
    }

    if (registry) {
      registry
        .load(PLUGIN_ID)
        .then(loaded => {
          settings = loaded;
          const apply = (): void => {
            provider.settings = readSettings(loaded.composite);
            if (!provider.settings.enabled) {
              provider.cancel();
            }
            app.commands.notifyCommandChanged();
            show();
          };
          loaded.changed.connect(apply);
          apply();
        })
        .catch((reason: unknown) => console.error('Turbopilot settings', reason));
    }

    const { commands } = app;
    const delegate = (label: string, command: string) => ({
      label,
      describedBy: {},
      isEnabled: () => commands.isEnabled(command),
      execute: () => commands.execute(command)
    });
    commands.addCommand(CommandIDs.toggle, {
      label: trans.__('Suggest Code'),
      isToggleable: true,
      isToggled: () => provider.settings.enabled,
      execute: async () => {
        const enabled = !provider.settings.enabled;
        provider.settings = { ...provider.settings, enabled };
        await settings?.set('enabled', enabled);
        show();
      }
    });
    commands.addCommand(CommandIDs.snooze, {
      label: trans.__('Snooze in This Document'),
      isEnabled: () => path() !== null,
      isToggleable: true,
      isToggled: () => provider.snoozed.has(path() ?? ''),
      execute: () => {
        const here = path();
        if (here !== null && !provider.snoozed.delete(here)) {
          provider.snoozed.add(here);
          provider.cancel();
        }
        show();
      }
    });
    commands.addCommand(CommandIDs.invoke, {
      label: trans.__('Suggest Now'),
      execute: () => {
        const editor = acceptor.editorIn(app.shell.currentWidget);
        if (!editor) {
          decline('nowhere');
          return;
        }
        // A menu or the palette has taken the focus.
        editor.focus();
        if (
          editor
            .getSelections()
            .some(({ start, end }) => start.line !== end.line || start.column !== end.column)
        ) {
          // JupyterLab does not even ask a provider.
          decline('selection');
          return;
        }
        manager.inline?.invoke(widgetId());
      }
    });
    commands.addCommand(CommandIDs.next, delegate(trans.__('Next Suggestion'), 'inline-completer:next'));
    commands.addCommand(
      CommandIDs.previous,
      delegate(trans.__('Previous Suggestion'), 'inline-completer:previous')
    );
    commands.addCommand(CommandIDs.accept, {
      label: trans.__('Accept Suggestion'),
      isEnabled: () => acceptor.active,
      execute: () => manager.inline?.accept(widgetId())
    });
    commands.addCommand(CommandIDs.acceptWord, {
      label: trans.__('Accept a Word of the Suggestion'),
      isEnabled: () => acceptor.active,
      execute: () => acceptor.acceptWord()
    });
    commands.addCommand(CommandIDs.acceptLine, {
      label: trans.__('Accept a Line of the Suggestion'),
      isEnabled: () => acceptor.active,
      execute: () => acceptor.acceptLine()
    });
    commands.addCommand(CommandIDs.dismiss, {
      label: trans.__('Dismiss the Suggestion'),
      isEnabled: () => acceptor.active,
      execute: () => {
        acceptor.dismiss();
        provider.cancel();
        alternatives.cancel();
      }
    });
    commands.addCommand(CommandIDs.chooseModel, {
      // The palette shows no category beside it.
      label: args => (args.palette ? trans.__('Turbopilot Models…') : trans.__('Models…')),
      execute: () => {
        if (!panel || panel.isDisposed) {
          panel = new MainAreaWidget({
            content: new ModelPanel(client, trans, () => void availability.look())
          });
          panel.id = 'turbopilot-models-panel';
          panel.title.label = trans.__('Models');
          panel.title.icon = modelIcon;
        }
        if (!panel.isAttached) {
          app.shell.add(panel, 'main');
        }
        if (!panel.isAttached) {
          // Notebook 7 has room for one document there.
          app.shell.add(panel, 'right');
        }
        app.shell.activateById(panel.id);
      }
    });
    commands.addCommand(CommandIDs.openSettings, {
      label: trans.__('Turbopilot Settings'),
      // A page of Notebook 7 has no settings editor; its list of files has.
      isVisible: () => commands.hasCommand('settingeditor:open'),
      isEnabled: () => commands.hasCommand('settingeditor:open'),
      execute: () => commands.execute('settingeditor:open', { query: 'Turbopilot' })
    });
    commands.addCommand(CommandIDs.status, {
      label: args => (args.palette ? trans.__('Show Turbopilot Status') : describeStatus(trans, current())),
      execute: async () => {
        await availability.look();
        const now = current();
        notice.brief([describeStatus(trans, now), now.model, now.reason].filter(Boolean).join(' · '));
      }
    });
    for (const command of [
      CommandIDs.toggle,
      CommandIDs.snooze,
      CommandIDs.chooseModel,
      CommandIDs.openSettings
    ]) {
      menu.addItem({ command });
    }
    if (palette) {
      for (const command of Object.values(CommandIDs)) {
        palette.addItem({ command, category: 'Turbopilot', args: { palette: true } });
      }
    }
    void app.restored.then(() => availability.look());
  }
};

export default plugin;
