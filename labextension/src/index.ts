/** The plugin: builds the provider, wires commands, settings, status and models to it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, Notification } from '@jupyterlab/apputils';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Menu, type Widget } from '@lumino/widgets';
import { Acceptor } from './accept';
import { Client, type IHealth, ServerError } from './client';
import { elsewhere } from './elsewhere';
import { Models } from './models';
import { ModelPanel, modelIcon } from './panel';
import { Alternatives, type IActivity, Provider } from './provider';
import { readSettings } from './settings';
import { type Phase, StatusItem } from './status';

const PLUGIN_ID = 'jupyter-turbopilot:plugin';
const LOADING_POLL = 700;
const FAILED_POLL = 15000;

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
    const provider = new Provider(
      client,
      () => manager.inline?.invoke(widgetId()),
      () => acceptor.dismiss(),
      (path, language) => elsewhere(app.shell, path, language)
    );
    const alternatives = new Alternatives(provider, client);
    let last: { editor: CodeEditor.IEditor; widget: Widget } | null = null;
    const acceptor = new Acceptor(
      [provider.identifier, alternatives.identifier],
      text => provider.accepted(text),
      editor => {
        provider.watch(editor);
        const widget = app.shell.currentWidget;
        if (widget) {
          last = { editor, widget };
          provider.warm(editor, widget);
        }
      }
    );
    acceptor.wrap(factory);
    acceptor.claimKeys(app.commands, [CommandIDs.acceptWord, CommandIDs.acceptLine]);
    // Before the application is restored, or no settings would reach them.
    manager.registerInlineProvider(provider);
    manager.registerInlineProvider(alternatives);

    let health: IHealth | null = null;
    let activity: IActivity = { thinking: false, lastMs: null, error: null };
    let settings: ISettingRegistry.ISettings | null = null;
    let poll = 0;
    let told = '';

    const path = (): string | null =>
      (app.shell.currentWidget as IDocumentWidget | null)?.context?.path ?? null;

    const menu = new Menu({ commands: app.commands });
    const status = new StatusItem(trans, anchor => {
      menu.open(anchor.left, anchor.top, { verticalAlignment: 'bottom' } as never);
    });

    const show = (): void => {
      const here = path();
      let phase: Phase = 'ready';
      if (!provider.settings.enabled) {
        phase = 'off';
      } else if (health?.phase === 'loading') {
        phase = 'loading';
      } else if (!health?.ready) {
        phase = 'failed';
      } else if (activity.thinking) {
        phase = 'thinking';
      }
      status.show_({
        phase,
        model: health?.model ?? '',
        lastMs: activity.lastMs,
        reason: health?.reason ?? null,
        snoozed: provider.settings.enabled && here !== null && provider.snoozed.has(here)
      });
    };

    // One quiet notification for one trouble, however many keys are pressed.
    const tell = (message: string): void => {
      if (message && message !== told) {
        told = message;
        Notification.warning(`Turbopilot: ${message}`, { autoClose: 10000 });
      }
    };

    const refresh = async (): Promise<void> => {
      window.clearTimeout(poll);
      try {
        const before = health?.ready;
        health = await client.health();
        provider.ready = health.ready;
        if (health.ready && !before && last) {
          provider.warm(last.editor, last.widget);
        }
        if (health.code === 'model_missing') {
          void models.offer(health.model);
        } else if (health.phase === 'failed') {
          tell(health.reason ?? '');
        } else if (health.ready) {
          told = '';
        }
      } catch (reason) {
        provider.ready = false;
        health = {
          live: false,
          ready: false,
          phase: 'failed',
          code: null,
          model: health?.model ?? '',
          reason: reason instanceof ServerError ? reason.message : trans.__('The server does not answer.'),
          notice: null,
          last_ms: null
        };
        tell(
          reason instanceof ServerError && reason.status === 404
            ? trans.__(
                'the server extension is not running. Run: jupyter server extension enable jupyter_turbopilot'
              )
            : (health.reason ?? '')
        );
      }
      show();
      if (!health.ready) {
        poll = window.setTimeout(
          () => void refresh(),
          health.phase === 'loading' ? LOADING_POLL : FAILED_POLL
        );
      }
    };
    const models = new Models(client, trans, () => {
      provider.forget();
      void refresh();
    });

    provider.activity.connect((_, now) => {
      activity = now;
      if (now.error && provider.ready) {
        tell(now.error.message);
      } else if (now.error) {
        void refresh();
      } else if (now.lastMs !== null && !now.thinking) {
        told = '';
      }
      show();
    });
    provider.appeared.connect((_, text) => {
      if (provider.settings.announce) {
        status.announce(trans.__('Suggestion: %1', text));
      }
    });
    NotebookActions.executed.connect(() => provider.forget());
    app.shell.currentChanged?.connect(() => {
      provider.turned();
      show();
    });

    if (statusBar) {
      statusBar.registerStatusItem(PLUGIN_ID, {
        item: status,
        align: 'right',
        rank: 50
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

    let panel: MainAreaWidget<ModelPanel> | null = null;
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
      execute: () => manager.inline?.invoke(widgetId())
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
      }
    });
    commands.addCommand(CommandIDs.chooseModel, {
      label: trans.__('Models…'),
      execute: () => {
        if (!panel || panel.isDisposed) {
          panel = new MainAreaWidget({
            content: new ModelPanel(client, trans, () => {
              provider.forget();
              void refresh();
            })
          });
          panel.id = 'turbopilot-models-panel';
          panel.title.label = trans.__('Models');
          panel.title.icon = modelIcon;
        }
        if (!panel.isAttached) {
          app.shell.add(panel, 'main');
        }
        app.shell.activateById(panel.id);
      }
    });
    commands.addCommand(CommandIDs.openSettings, {
      label: trans.__('Turbopilot Settings'),
      isEnabled: () => commands.hasCommand('settingeditor:open'),
      execute: () => commands.execute('settingeditor:open', { query: 'Turbopilot' })
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
        palette.addItem({ command, category: 'Turbopilot' });
      }
    }
    void app.restored.then(refresh);
  }
};

export default plugin;
