#!/usr/bin/env escript
%% Play scripts with the real supervisors of Erlang/OTP, and print what happens.
%%
%% The one argument is a file of Erlang terms, one script each (see otp.py, which writes it):
%%     {Number, Tree, [{Milliseconds, Key, Command}], EndMilliseconds, ScaleMilliseconds}.
%% All scripts are played at the same time. One scheduler is enough, and with only one a process
%% that dies has told everybody of it before anybody else runs.
%%
%% Every line of the output has fields with a | between them:
%%     Number|happened|Path|What|Detail
%%     Number|answer|Key|Answer
%%     Number|done
%%! +S 1
-module(otp_player).
-mode(compile).
-export([main/1, init/1, start_child/3, worker/5]).

main([File]) ->
    logger:set_primary_config(level, none),
    {ok, Scripts} = file:consult(File),
    Players = [spawn_monitor(fun() -> play(Script) end) || Script <- Scripts],
    [receive {'DOWN', Ref, process, Pid, _} -> ok end || {Pid, Ref} <- Players],
    ok.

%% -- one script ---------------------------------------------------------------------------------

play({Number, Tree, Commands, End, Scale}) ->
    process_flag(trap_exit, true),
    Notes = spawn_link(fun() -> notes(Number, #{}, #{}, #{}) end),
    Result = start_child({Notes, Scale}, <<>>, Tree),
    %% Not by the clock: if the machine stands still for a while, all that is due would come at once.
    Last = lists:foldl(
             fun({At, Key, Command}, Before) ->
                     timer:sleep(At - Before),
                     do(Notes, Scale, Key, Command),
                     At
             end, 0, Commands),
    timer:sleep(End - Last),
    case Result of
        {ok, Root} ->
            Ref = monitor(process, Root),
            exit(Root, shutdown),
            receive {'DOWN', Ref, process, Root, _} -> ok end;
        _ -> ok
    end,
    timer:sleep(20),
    call(Notes, done),
    io:format("~b|done~n", [Number]).

do(Notes, _Scale, _Key, {finish, Path, Reason}) ->
    case call(Notes, {find, Path}) of
        {running, Pid} -> Pid ! {finish, Reason};
        _ -> ok
    end;
do(Notes, _Scale, _Key, {kill, Parent, Paths}) ->
    %% Erlang does not say which of several dies first. So they die one after the other, while their
    %% supervisor stands still and hears of nothing.
    Found = [call(Notes, {find, Path}) || Path <- Paths],
    case [Pid || {_, Pid} <- [call(Notes, {find, Parent})]] of
        [Supervisor] ->
            erlang:suspend_process(Supervisor),
            [kill(Pid) || {_, Pid} <- Found],
            erlang:resume_process(Supervisor);
        [] -> ok
    end;
do(Notes, Scale, Key, {ask, Path, Request}) ->
    Ask = case call(Notes, {find, Path}) of
              {_, Pid} -> fun() -> ask(Pid, Request, {Notes, Scale}, Path) end;
              none -> fun() -> "gone" end
          end,
    spawn(fun() ->
                  Answer = try Ask() catch exit:_ -> "gone" end,
                  call(Notes, {answer, Key, Answer})
          end),
    ok.

kill(Pid) ->
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, _} -> ok end.

ask(Pid, {start, Spec}, Context, Path) ->
    said(supervisor:start_child(Pid, child_spec(Context, Path, Spec)));
ask(Pid, {terminate, Id}, _, _) -> said(supervisor:terminate_child(Pid, Id));
ask(Pid, {restart, Id}, _, _) -> said(supervisor:restart_child(Pid, Id));
ask(Pid, {delete, Id}, _, _) -> said(supervisor:delete_child(Pid, Id));
ask(Pid, count, _, _) ->
    Counts = supervisor:count_children(Pid),
    Keys = [specs, active, supervisors, workers],
    io_lib:format("count ~b ~b ~b ~b", [proplists:get_value(Key, Counts) || Key <- Keys]);
ask(Pid, which, _, _) ->
    lists:join(",", [[Id, "=", state(Child)]
                     || {Id, Child, _, _} <- lists:reverse(supervisor:which_children(Pid))]).

state(Pid) when is_pid(Pid) -> "running";
state(undefined) -> "terminated";
state(restarting) -> "restarting".

said(ok) -> "ok";
said({ok, undefined}) -> "ignored";
said({ok, _}) -> "started";
said({error, {already_started, _}}) -> "already_started";
said({error, Word}) when Word =:= already_present; Word =:= not_found;
                         Word =:= running; Word =:= restarting -> atom_to_list(Word);
said({error, _}) -> "failed".

%% -- children -----------------------------------------------------------------------------------

child_spec(Context, Parent, Spec) ->
    {Kind, Shutdown} = case Spec of
                           {worker, #{shutdown := Time}} -> {worker, Time};
                           {tree, _} -> {supervisor, infinity}
                       end,
    {_, #{id := Id, restart := Restart, significant := Significant}} = Spec,
    #{id => Id, start => {?MODULE, start_child, [Context, Parent, Spec]}, restart => Restart,
      significant => Significant, shutdown => Shutdown, type => Kind}.

%% Runs in the supervisor. What it notes is noted before the supervisor goes on.
start_child({Notes, _} = Context, Parent, {Kind, #{id := Id} = Spec}) ->
    Path = case Parent of
               <<>> -> Id;
               _ -> <<Parent/binary, "/", Id/binary>>
           end,
    Result = case Kind of
                 worker -> start_worker(Context, Path, Spec);
                 tree -> supervisor:start_link(?MODULE, {Context, Path, Spec})
             end,
    case Result of
        {ok, Pid} -> call(Notes, {started, Path, Pid});
        ignore -> call(Notes, {happened, Path, ignored, ""});
        {error, _} -> call(Notes, {happened, Path, failed, ""})
    end,
    case Result of
        {error, broken} -> error(broken);
        _ -> Result
    end.

init({{Notes, _} = Context, Path, #{children := Children} = Spec}) ->
    call(Notes, {starting, Path, self()}),
    Flags = maps:with([strategy, intensity, period, auto_shutdown], Spec),
    {ok, {Flags, [child_spec(Context, Path, Child) || Child <- Children]}}.

start_worker({Notes, Scale}, Path, #{starts := Starts, then := Then} = Spec) ->
    Count = call(Notes, {count, Path}),
    Step = case Count =< length(Starts) of
               true -> lists:nth(Count, Starts);
               false -> Then
           end,
    case Step of
        broken -> {error, broken};
        _ -> proc_lib:start_link(?MODULE, worker, [self(), {Notes, Scale}, Path, Step, Spec])
    end.

worker(Parent, {Notes, Scale}, Path, Step, Spec) ->
    process_flag(trap_exit, true),
    call(Notes, {starting, Path, self()}),
    {Slow, Result} = Step,
    Slow andalso timer:sleep(Scale),
    case Result of
        ok -> proc_lib:init_ack(Parent, {ok, self()}), work(Parent, Spec);
        fail -> proc_lib:init_ack(Parent, {error, failed});
        ignore -> proc_lib:init_ack(Parent, ignore)
    end.

work(Parent, #{stop := Stop, stop_fails := Fails}) ->
    Reason = receive
                 {'EXIT', Parent, Asked} -> Asked;
                 {finish, Own} -> Own
             end,
    timer:sleep(Stop),
    case Fails andalso Reason =/= boom of
        true -> exit(boom);
        false -> exit(Reason)
    end.

%% -- notes --------------------------------------------------------------------------------------

call(Notes, What) ->
    Ref = make_ref(),
    Notes ! {self(), Ref, What},
    receive {Ref, Answer} -> Answer end.

%% Keep who is where (Places: path to state and pid; Paths: monitor to path) and count starts.
notes(Number, Places, Paths, Counts) ->
    receive
        {'DOWN', Ref, process, Pid, Reason} ->
            {{Path, State, Pid}, Rest} = maps:take(Ref, Paths),
            State =:= running andalso print(Number, Path, ended, word(Reason)),
            Left = case Places of
                       #{Path := {_, Pid}} -> maps:remove(Path, Places);
                       _ -> Places
                   end,
            notes(Number, Left, Rest, Counts);
        {From, Ref, {starting, Path, Pid}} ->
            Monitor = monitor(process, Pid),
            From ! {Ref, ok},
            notes(Number, Places#{Path => {starting, Pid}},
                  Paths#{Monitor => {Path, starting, Pid}}, Counts);
        {From, Ref, {started, Path, Pid}} ->
            print(Number, Path, started, ""),
            [Monitor] = [Key || {Key, {_, starting, Known}} <- maps:to_list(Paths), Known =:= Pid],
            From ! {Ref, ok},
            notes(Number, Places#{Path => {running, Pid}},
                  Paths#{Monitor => {Path, running, Pid}}, Counts);
        {From, Ref, {happened, Path, What, Detail}} ->
            print(Number, Path, What, Detail),
            From ! {Ref, ok},
            notes(Number, Places, Paths, Counts);
        {From, Ref, {answer, Key, Answer}} ->
            io:format("~b|answer|~s|~s~n", [Number, Key, Answer]),
            From ! {Ref, ok},
            notes(Number, Places, Paths, Counts);
        {From, Ref, {find, Path}} ->
            From ! {Ref, maps:get(Path, Places, none)},
            notes(Number, Places, Paths, Counts);
        {From, Ref, {count, Path}} ->
            Count = maps:get(Path, Counts, 0) + 1,
            From ! {Ref, Count},
            notes(Number, Places, Paths, Counts#{Path => Count});
        {From, Ref, done} ->
            From ! {Ref, ok}
    end.

print(Number, Path, What, Detail) ->
    io:format("~b|happened|~s|~s|~s~n", [Number, Path, What, Detail]).

word(normal) -> "normal";
word(shutdown) -> "shutdown";
word({shutdown, _}) -> "shutdown detail";
word(killed) -> "killed";
word(_) -> "crashed".
