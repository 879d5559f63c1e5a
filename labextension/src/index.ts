/** The plugin: makes the parts and connects them to one another and to JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import { NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { Acceptor } from './accept';
import { Alternatives } from './alternatives';
import { Availability } from './availability';
import { ChosenClient, Engines, pageFacts } from './engines';
import { addCommands, CommandIDs, fillMenu, fillPalette } from './commands';
import { Completers } from './completers';
import { Downloads } from './downloads';
import { Notice, notifyOfHealth } from './notice';
import { HttpClient } from './httpclient';
import { claimKeys, watchModifiedTab } from './keys';
import { learnedDialog } from './learned';
import { LiveRegion } from './liveregion';
import { tellOfMemory } from './memory';
import { describeCurrent, describeImports, noteSuggestions } from './note';
import { DownloadOffer } from './offer';
import { Page } from './page';
import { ModelPanel, panelOpener } from './panel';
import { Preferences } from './settings';
import { Provider } from './provider';
import { Status } from './status';
import { StatusItem, StatusVoice } from './statusitem';
import { studyDialog, tellOfStudy } from './study';

const PLUGIN_ID = 'jupyter-turbopilot:plugin';

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Inline code completion from a model in the Jupyter server or in the browser.',
  autoStart: true,
  requires: [ICompletionProviderManager, IInlineCompleterFactory],
  optional: [ISettingRegistry, IStatusBar, ICommandPalette, ITranslator, IEditorLanguageRegistry],
  activate: (
    app: JupyterFrontEnd,
    manager: ICompletionProviderManager,
    factory: IInlineCompleterFactory,
    registry: ISettingRegistry | null,
    statusBar: IStatusBar | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null,
    languages: IEditorLanguageRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_turbopilot');
    const { commands, serviceManager, shell } = app;

    // What suggests.
    const client = new ChosenClient();
    const engines = new Engines(client, pageFacts(serviceManager.serverSettings), {
      server: () => Promise.resolve(new HttpClient(serviceManager.serverSettings)),
      // Loaded where it is used: a page with a server has no need of it.
      browser: async () =>
        (await import('./local/lab')).localClient(
          serviceManager,
          languages,
          preferences.current.browserModels,
          {
            progress: () => {
              if (availability.state.health?.phase !== 'loading') {
                void availability.check(); // while it is loading, that is done often
              }
            },
            opened: () => void availability.check()
          }
        )
    });
    const availability = new Availability(
      async signal => {
        await engines.retry();
        return client.health(signal);
      },
      () => !document.hidden
    );
    const completers = new Completers();
    const page = new Page(shell, manager, completers);
    const provider = new Provider(client, availability, page);
    const alternatives = new Alternatives(provider, client);
    const live = new LiveRegion('jp-Turbopilot-live');
    const acceptor = new Acceptor(
      completers,
      [provider.identifier, alternatives.identifier],
      (text, imports) => {
        if (imports) {
          live.say(trans.__('Added above: %1', imports.text.trim()));
        }
        return provider.accepted(text, imports);
      }
    );
    noteSuggestions(completers, [provider.identifier, alternatives.identifier], trans);
    window.addEventListener('pagehide', () => provider.settle());
    completers.attached.connect((_, editor) => {
      provider.watch(editor);
      provider.warm(editor);
    });
    completers.wrap(factory);
    // An editor moves its cursor by Ctrl → and Alt →, and indents by Ctrl Alt \.
    claimKeys(commands, [CommandIDs.acceptWord, CommandIDs.acceptLine], target => acceptor.canTakeIn(target));
    claimKeys(commands, [CommandIDs.toggle], target => target.closest('.jp-CodeMirrorEditor') !== null);
    watchModifiedTab(() => {
      alternatives.cancel();
      completers.active?.model?.reset();
    });
    // Before the application is restored, or no settings would reach them.
    manager.registerInlineProvider(provider);
    manager.registerInlineProvider(alternatives);

    // What the person sees of it.
    const preferences = new Preferences();
    const notice = new Notice();
    const downloads = new Downloads(client, availability, trans);
    notifyOfHealth(availability, notice, new DownloadOffer(client, downloads, trans), trans, () =>
      preferences.change({ engine: 'browser' })
    );
    tellOfMemory(
      availability,
      trans,
      () => preferences.current.memory,
      () => preferences.change({ memory: false }),
      () => page.returnFocus()
    );
    const status = new Status(trans, availability, provider, page);
    const menu = new MenuSvg({ commands });
    const statusItem = new StatusItem(trans, menu);
    const voice = new StatusVoice(trans, live);
    status.changed.connect((_, now) => {
      statusItem.display(now);
      voice.tell(now);
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
    const showStudy = studyDialog(availability, trans);
    addCommands(commands, {
      trans,
      page,
      completers,
      provider,
      alternatives,
      acceptor,
      availability,
      preferences,
      status,
      notice,
      openModels,
      showLearned: learnedDialog(client, availability, notice, trans),
      showStudy
    });
    fillMenu(menu);
    // What it says of the server stays true while it is open.
    availability.changed.connect(() => menu.isVisible && menu.update());
    if (palette) {
      fillPalette(palette);
    }
    // In a narrow window too: by its priority.
    statusBar?.registerStatusItem(PLUGIN_ID, { item: statusItem, align: 'right', rank: 50, priority: 1 });

    // What they have to know of.
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
    let usedMemory = preferences.current.memory;
    preferences.changed.connect((_, settings) => {
      provider.settings = settings;
      void useEngine();
      if (!settings.enabled) {
        provider.cancel();
      }
      if (usedMemory && !settings.memory) {
        // What came from it goes, too.
        provider.cancel();
        page.dismiss();
      }
      usedMemory = settings.memory;
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
    NotebookActions.executed.connect(() => provider.forget());
    shell.currentChanged?.connect(() => {
      provider.documentChanged();
      status.update();
    });
    // Checked at once, not at the next turn, when there may be news.
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
      // Before that, no status item is visible.
      tellOfStudy(
        availability,
        trans,
        () => statusItem.isVisible,
        async () => {
          await showStudy();
          page.returnFocus();
        }
      );
      return availability.check();
    });
  }
};

export default plugin;
