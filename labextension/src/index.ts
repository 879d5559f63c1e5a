/** The plugin: creates the components and connects them to each other and to JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { Acceptor } from './accept';
import { Alternatives } from './alternatives';
import { Availability, followUse } from './availability';
import { Engines, pageProperties } from './engines';
import { addCommands, clearSuggestions, CommandIDs, fillMenu, fillPalette } from './commands';
import { Completers } from './completers';
import { Downloads } from './downloads';
import { NotebookCheck } from './fixes/check';
import { EditFollower } from './fixes/edits';
import { FixOffers } from './fixes/fixes';
import { Offers } from './fixes/offers';
import { RenameOffers } from './fixes/renames';
import { RepeatOffers } from './fixes/repeats';
import { Notice, notifyOfHealth } from './notice';
import { HttpClient } from './httpclient';
import { claimKeys, shortcutOf, watchKeys } from './keys';
import { describeDecline } from './messages';
import { LiveRegion } from './liveregion';
import { NotebookIndex } from './notebookindex';
import { describeCurrent, describeImports, noteSuggestions } from './suggestionnote';
import { DownloadOffer } from './downloadoffer';
import { SwitchFollower } from './offswitches';
import { Page } from './page';
import { ModelPanel, panelOpener } from './panel';
import { Preferences } from './settings';
import { notifyOfProviders, ShownNotifications } from './shownnotifications';
import { Provider } from './provider';
import { statisticsDialog } from './statistics';
import { Status } from './status';
import { StatusItem, StatusAnnouncer } from './statusitem';
import { usageLogDialog, notifyOfUsageLog } from './usagelog';

const PLUGIN_ID = 'jupyter-turbopilot:plugin';

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Inline code completion from a model in the Jupyter server or in the browser.',
  autoStart: true,
  requires: [ICompletionProviderManager, IInlineCompleterFactory],
  optional: [ISettingRegistry, IStateDB, IStatusBar, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    manager: ICompletionProviderManager,
    factory: IInlineCompleterFactory,
    registry: ISettingRegistry | null,
    state: IStateDB | null,
    statusBar: IStatusBar | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_turbopilot');
    const { commands, serviceManager, shell } = app;

    // Engines and providers.
    const properties = pageProperties(serviceManager.serverSettings);
    const engines = new Engines(properties, {
      server: () => Promise.resolve(new HttpClient(serviceManager.serverSettings)),
      // Loaded on demand: a page with a server does not need it.
      browser: async () =>
        (await import('./local/lab')).localClient({
          progress: () => {
            if (availability.state.health?.phase !== 'loading') {
              void availability.check(); // while a model is loading, the timer checks often enough
            }
          },
          opened: () => void availability.check()
        })
    });
    const { client } = engines;
    const availability = new Availability(
      async signal => {
        await engines.retry();
        return client.health(signal);
      },
      () => !document.hidden,
      followUse(document, () => void availability.check())
    );
    const preferences = new Preferences();
    const completers = new Completers();
    const page = new Page(shell, manager, completers);
    const provider = new Provider(client, availability, page);
    const alternatives = new Alternatives(provider, client);
    const live = new LiveRegion('jp-Turbopilot-live');
    const own = [provider.identifier, alternatives.identifier];
    const acceptor = new Acceptor(completers, own, (text, imports) => {
      if (imports) {
        live.say(trans.__('Added above: %1', imports.text.trim()));
      }
      const inserted = provider.accepted(text, imports);
      return () => {
        inserted();
        void notebookIndex.accepted();
      };
    });
    noteSuggestions(completers, own, trans);
    const shown = new ShownNotifications(state);
    notifyOfProviders(completers, own, shown, trans, () =>
      commands.hasCommand('settingeditor:open')
        ? () => void commands.execute('settingeditor:open', { query: 'Inline Completer' })
        : null
    );
    window.addEventListener('pagehide', () => provider.outcomes.settle());
    completers.attached.connect((_, editor) => {
      provider.watch(editor);
      provider.warmUp(editor);
    });
    completers.wrap(factory);
    // CodeMirror binds Ctrl → and Alt → (cursor) and Ctrl Alt \ (indent), too.
    claimKeys(commands, [CommandIDs.acceptWord, CommandIDs.acceptLine], target => acceptor.canTakeIn(target));
    claimKeys(
      commands,
      [CommandIDs.toggle, CommandIDs.stop],
      target => target.closest('.jp-CodeMirrorEditor') !== null
    );
    const remove = () => {
      alternatives.cancel();
      completers.active?.model?.reset();
    };
    watchKeys(remove, () => {
      provider.cancel();
      remove();
    });
    // Providers registered after the application is restored do not receive settings.
    manager.registerInlineProvider(provider);
    manager.registerInlineProvider(alternatives);

    // User interface.
    const notice = new Notice();
    const downloads = new Downloads(client, availability, trans);
    const completeHere = properties.serverOnly ? null : () => preferences.change({ engine: 'browser' });
    notifyOfHealth(
      availability,
      notice,
      new DownloadOffer(client, downloads, availability, trans),
      trans,
      completeHere
    );
    const notebookIndex = new NotebookIndex(client, availability, preferences, shown, notice, page, trans);
    const offers = new Offers();
    const shortcut = (isForAll = false): string =>
      shortcutOf(commands, isForAll ? CommandIDs.applyAll : CommandIDs.applyFix);
    const status = new Status(trans, availability, provider, page, offers, shortcut);
    provider.refused.connect(() => status.update());
    const menu = new MenuSvg({ commands });
    const statusItem = new StatusItem(trans, menu);
    const announcer = new StatusAnnouncer(trans, live);
    const fixing = {
      client,
      completers,
      edits: new EditFollower(page),
      availability,
      preferences,
      switches: provider,
      offers,
      live,
      notice,
      trans,
      shortcut
    };
    new FixOffers(fixing);
    new RepeatOffers(fixing, new RenameOffers(fixing));
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: panel => {
        new NotebookCheck(fixing, panel as NotebookPanel);
      }
    });
    status.changed.connect((_, now) => {
      statusItem.display(now);
      announcer.announce(now);
    });
    const announce = (text: string, note: string): void => {
      if (provider.settings.announce) {
        live.say(note ? trans.__('Suggestion (%1): %2', note, text) : trans.__('Suggestion: %1', text));
      }
    };
    provider.completed.connect((_, { text, imports }) => announce(text, describeImports(trans, imports)));
    completers.cycled.connect((_, completer) => {
      if (completer.current) {
        announce(completer.current.insertText, describeCurrent(trans, completer));
      }
    });
    const openModels = panelOpener(shell, () => new ModelPanel(client, availability, downloads, trans));
    const showUsageLog = usageLogDialog(availability, trans);
    addCommands(commands, {
      trans,
      page,
      provider,
      alternatives,
      acceptor,
      offers,
      availability,
      preferences,
      status,
      notice,
      notebookIndex,
      openModels,
      showStatistics: statisticsDialog(client, availability, notice, trans),
      showUsageLog
    });
    const off = new MenuSvg({ commands });
    off.title.label = trans.__('Turn Off');
    fillMenu(menu, off);
    // Keep the open menu up to date.
    availability.changed.connect(() => menu.isVisible && menu.update());
    if (palette) {
      fillPalette(palette);
    }
    // The priority keeps it visible in a narrow window.
    statusBar?.registerStatusItem(PLUGIN_ID, { item: statusItem, align: 'right', rank: 50, priority: 1 });

    // Events.
    const useEngine = async (): Promise<void> => {
      try {
        if (await engines.use(preferences.current.engine)) {
          provider.forget();
          availability.restart();
          void availability.check();
        }
      } catch (reason) {
        availability.restart(reason);
      }
    };
    let usedIndex = preferences.current.notebookIndex;
    preferences.changed.connect((_, settings) => {
      provider.settings = settings;
      void useEngine();
      if (usedIndex && !settings.notebookIndex) {
        // The shown suggestion may come from the index.
        clearSuggestions({ provider, alternatives, page });
      }
      usedIndex = settings.notebookIndex;
      status.update();
    });
    if (registry) {
      preferences
        .load(registry, PLUGIN_ID)
        .catch((reason: unknown) => console.error('Turbopilot settings', reason))
        .finally(useEngine);
    } else {
      void useEngine();
    }
    NotebookActions.executionScheduled.connect((_, { cell }) =>
      provider.outcomes.executed(cell.model.sharedModel)
    );
    NotebookActions.executed.connect(() => provider.forget());
    const noteInvalid = (): void => {
      if (switches.becameInvalid(page.notebook)) {
        notice.brief(`Turbopilot: ${describeDecline(trans, 'invalid metadata', null)}`);
      }
    };
    const switches = new SwitchFollower(app.docRegistry, (model, state) => {
      provider.documentChanged(); // the texts of other notebooks are in the prompt
      offers.removeDisallowed();
      if (model !== page.notebook) {
        return;
      }
      if (state !== 'enabled') {
        clearSuggestions({ provider, alternatives, page });
      }
      noteInvalid();
      commands.notifyCommandChanged(CommandIDs.disableInNotebook);
      status.update();
    });
    shell.currentChanged?.connect(() => {
      provider.documentChanged();
      offers.switched.emit(); // a notebook is checked only while it is visible
      noteInvalid();
      commands.notifyCommandChanged(CommandIDs.disableInNotebook);
      status.update();
    });
    // Check immediately, without waiting for the timer, when the connection may have changed.
    const check = (): void => {
      if (!document.hidden) {
        void availability.check();
      }
    };
    document.addEventListener('visibilitychange', check);
    window.addEventListener('online', check);
    window.addEventListener('offline', check);
    serviceManager.connectionFailure?.connect(check);
    void app.restored.then(() => {
      // The status item is not visible before.
      notifyOfUsageLog(
        availability,
        trans,
        () => statusItem.isVisible,
        async () => {
          await showUsageLog();
          page.returnFocus();
        }
      );
      return availability.check();
    });
  }
};

export default plugin;
