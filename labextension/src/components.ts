/** Create and connect the components that the plugins share. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IStateDB } from '@jupyterlab/statedb';
import { type ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { Acceptor } from './accept';
import { Alternatives } from './alternatives';
import { Availability, followUse } from './availability';
import type { IClient } from './client';
import { clearSuggestions, CommandIDs, type ICommandParts } from './commands';
import { Completers } from './completers';
import { SwitchFollower } from './decline';
import { DownloadOffer } from './downloadoffer';
import { Downloads } from './downloads';
import { Engines, pageProperties } from './engines';
import { NotebookCheck } from './fixes/check';
import { EditOffers } from './fixes/editoffers';
import { EditFollower } from './fixes/edits';
import { FixOffers } from './fixes/fixes';
import { Offers } from './fixes/offers';
import { HttpClient } from './httpclient';
import { shortcutOf } from './keys';
import { LiveRegion } from './liveregion';
import { describeDecline } from './messages';
import { Notice, notifyOfHealth } from './notice';
import { NotebookIndex } from './notebookindex';
import { Page } from './page';
import { Provider } from './provider';
import { Preferences } from './settings';
import { notifyOfProviders, ShownNotifications } from './shownnotifications';
import { describeCurrent, describeImports, isSingle, noteSuggestions } from './suggestionnote';

export type ICompletionParts = ReturnType<typeof createCompletion>;
export type INotificationParts = ReturnType<typeof createNotifications>;
export type IParts = IEngineParts & ICompletionParts & INotificationParts;

export interface IEngineParts {
  trans: TranslationBundle;
  client: IClient;
  engines: Engines;
  availability: Availability;
  preferences: Preferences;
  /** Whether the page must not run a model. */
  serverOnly: boolean;
}

/** Create the client of the engine, and follow its availability. */
export function createEngine(
  { serviceManager: { connectionFailure, serverSettings } }: JupyterFrontEnd,
  translator: ITranslator | null
): IEngineParts {
  const trans = (translator ?? nullTranslator).load('jupyter_turbopilot');
  const properties = pageProperties(serverSettings);
  const engines = new Engines(properties, {
    server: () => Promise.resolve(new HttpClient(serverSettings)),
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
  // Check immediately, without waiting for the timer, when the connection may have changed.
  const check = (): void => {
    if (!document.hidden) {
      void availability.check();
    }
  };
  document.addEventListener('visibilitychange', check);
  window.addEventListener('online', check);
  window.addEventListener('offline', check);
  connectionFailure?.connect(check);
  const { serverOnly } = properties;
  return { trans, client, engines, availability, preferences: new Preferences(), serverOnly };
}

/** Create the providers of suggestions, and the components that show and accept suggestions. */
export function createCompletion(
  { commands, shell }: JupyterFrontEnd,
  { availability, client, trans }: IEngineParts,
  manager: ICompletionProviderManager,
  factory: IInlineCompleterFactory
) {
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
    return provider.accepted(text, imports);
  });
  const hint = (): string => {
    switch (alternatives.progress) {
      case 'generating':
        return trans.__('Generating alternatives…');
      case 'none':
        return trans.__('No alternatives');
      default:
        return provider.settings.alternatives > 0
          ? trans.__('%1: alternatives', shortcutOf(commands, CommandIDs.invoke))
          : '';
    }
  };
  const updateNote = noteSuggestions(completers, own, trans, hint);
  alternatives.ended.connect(updateNote);
  const announce = (text: string, note: string): void => {
    if (provider.settings.announce) {
      live.say(note ? trans.__('Suggestion (%1): %2', note, text) : trans.__('Suggestion: %1', text));
    }
  };
  provider.completed.connect((_, { text, imports }) => announce(text, describeImports(trans, imports)));
  completers.cycled.connect((_, completer) => {
    const isOurs = own.includes(completer.current?.provider.identifier ?? '');
    if (isOurs && isSingle(completer) && hint()) {
      live.say(hint());
    } else if (completer.current) {
      announce(completer.current.insertText, describeCurrent(trans, completer));
    }
  });
  completers.attached.connect((_, editor) => {
    provider.watch(editor);
    provider.warmUp(editor);
  });
  completers.wrap(factory);
  // Providers registered after the application is restored do not receive settings.
  manager.registerInlineProvider(provider);
  manager.registerInlineProvider(alternatives);
  window.addEventListener('pagehide', () => provider.outcomes.settle());
  NotebookActions.executionScheduled.connect((_, { cell }) =>
    provider.outcomes.executed(cell.model.sharedModel)
  );
  NotebookActions.executed.connect(() => provider.forget());
  return { completers, page, provider, alternatives, acceptor, live, own };
}

/** Create the notifications about errors, missing models, other providers and the notebook index. */
export function createNotifications(
  { commands }: JupyterFrontEnd,
  { trans, client, availability, preferences, serverOnly }: IEngineParts,
  { acceptor, completers, own, page }: ICompletionParts,
  state: IStateDB | null
) {
  const notice = new Notice();
  const shown = new ShownNotifications(state);
  const downloads = new Downloads(client, availability, trans);
  const offer = new DownloadOffer(client, downloads, availability, trans);
  const completeHere = serverOnly ? null : () => preferences.change({ engine: 'browser' });
  notifyOfHealth(availability, notice, offer, trans, completeHere);
  notifyOfProviders(completers, own, shown, trans, () =>
    commands.hasCommand('settingeditor:open')
      ? () => void commands.execute('settingeditor:open', { query: 'Inline Completer' })
      : null
  );
  const notebookIndex = new NotebookIndex(client, availability, preferences, shown, notice, page, trans);
  acceptor.accepted.connect(() => void notebookIndex.accepted());
  return { notice, downloads, notebookIndex };
}

/** Create the offers of fixes, renames and repeated edits. */
export function createOffers(
  { commands, docRegistry }: JupyterFrontEnd,
  engine: IEngineParts,
  completion: ICompletionParts,
  notifications: INotificationParts
): Offers {
  const offers = new Offers();
  const { page, provider: switches } = completion;
  const shortcut = (isForAll = false): string =>
    shortcutOf(commands, isForAll ? CommandIDs.applyAll : CommandIDs.applyFix);
  const edits = new EditFollower(page);
  const parts = { ...engine, ...completion, ...notifications, edits, switches, offers, shortcut };
  new FixOffers(parts);
  new EditOffers(parts);
  docRegistry.addWidgetExtension('Notebook', {
    createNew: panel => {
      new NotebookCheck(parts, panel as NotebookPanel);
    }
  });
  return offers;
}

/** Load the settings, and follow their changes. */
export function followSettings(
  parts: ICommandParts,
  registry: ISettingRegistry | null,
  plugin: string
): void {
  const { engines, provider, availability, preferences, status } = parts;
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
  preferences.changed.connect((_, settings) => {
    provider.settings = settings;
    void useEngine();
    status.update();
  });
  const loaded = registry ? preferences.load(registry, plugin) : Promise.resolve();
  loaded.catch((reason: unknown) => console.error('Turbopilot settings', reason)).finally(useEngine);
}

/** Follow the current document, and the switches of the notebooks. */
export function followDocuments(
  { commands, docRegistry, shell }: JupyterFrontEnd,
  parts: ICommandParts
): void {
  const { trans, page, provider, notice, offers, status } = parts;
  const update = (): void => {
    if (switches.becameInvalid(page.notebook)) {
      notice.brief(`Turbopilot: ${describeDecline(trans, 'invalid metadata', null)}`);
    }
    commands.notifyCommandChanged(CommandIDs.disableInNotebook);
    status.update();
  };
  const switches = new SwitchFollower(docRegistry, (model, state) => {
    provider.documentChanged(); // the texts of other notebooks are in the prompt
    offers.removeDisallowed();
    if (model !== page.notebook) {
      return;
    }
    if (state !== 'enabled') {
      clearSuggestions(parts);
    }
    update();
  });
  shell.currentChanged?.connect(() => {
    provider.documentChanged();
    offers.switched.emit(); // a notebook is checked only while it is visible
    update();
  });
}
