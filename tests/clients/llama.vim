" Types into a buffer with llama.vim, waits for its grey text, takes it with Tab, and writes down what came of it.
set nocompatible noswapfile noloadplugins shortmess+=I
let g:llama_config = {
    \ 'endpoint_fim': $TEST_URL . '/infill',
    \ 'api_key': $TEST_KEY,
    \ 'show_info': 0,
    \ 't_max_prompt_ms': 5000,
    \ }
exe 'set runtimepath^=' . fnameescape($TURBOPILOT_LLAMA_VIM)
if !exists('*extendnew')
    call writefile([json_encode({'old': 'The plug-in needs a newer version of this editor.'})], $TEST_FOUND)
    qall!
endif
" It warns of an older Vim, and nobody is there to press Enter.
silent runtime plugin/llama.vim

let s:found = {'shown': '', 'before': '', 'after': '', 'tries': 0}

function! s:shown()
    if has('nvim')
        let l:marks = nvim_buf_get_extmarks(0, nvim_create_namespace('vt_fim'), 0, -1, {'details': v:true})
        let l:texts = map(filter(l:marks, 'has_key(v:val[3], "virt_text")'), 'v:val[3].virt_text[0][0]')
        return join(l:texts, '')
    endif
    " Vim 9.0 says where there is grey text, not which.
    let l:marks = filter(prop_list(line('.')), 'v:val.type ==# "llama_hl_fim_hint"')
    return join(map(l:marks, 'get(v:val, "text", "?")'), '')
endfunction

function! s:look(timer)
    let s:found.tries += 1
    if s:found.after !=# '' || s:found.tries > 200
        call writefile([json_encode(s:found)], $TEST_FOUND)
        qall!
    elseif s:found.shown !=# ''
        let s:found.after = join(getline(1, '$'), "\n")
    elseif s:shown() =~# '\S'
        let s:found.shown = s:shown()
        let s:found.before = join(getline(1, '$'), "\n")
        call feedkeys("\<Tab>", 't')
    elseif s:found.tries % 20 == 0
        " What the model had to say was nothing, or blank: one more letter.
        call feedkeys('a', 't')
    endif
endfunction

autocmd VimEnter * call timer_start(100, function('s:look'), {'repeat': -1}) | call feedkeys('ix = a', 't')
