#!/usr/bin/env escript
%%! +S 2:2
%% Measure Erlang/OTP with two schedulers: processes with plain messages, gen_server for the round
%% trip, and a supervisor. Prints JSON lines like those of the Python scripts, without baseline.
-mode(compile).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).

main([Json]) ->
    logger:set_primary_config(level, none),
    lists:foreach(fun measure/1, sizes(Json)).

%% Names and numbers of a flat JSON object, in their order.
sizes(Json) ->
    {match, Pairs} = re:run(Json, "\"(\\w+)\": *(\\d+)", [global, {capture, all_but_first, list}]),
    [{list_to_atom(Name), list_to_integer(Size)} || [Name, Size] <- Pairs].

measure({Workload, Size}) ->
    _ = run(Workload, max(10, Size div 20)),
    Value = run(Workload, Size),
    io:format("{\"workload\": \"~s\", \"ours\": ~w, \"size\": ~w}~n", [Workload, float(Value), Size]).

run(tell, Size) ->
    Me = self(),
    Counter = spawn(fun() -> count(0) end),
    rate(Size, fun() ->
        tell(Counter, Size),
        Counter ! {total, Me},
        receive Size -> ok end
    end);
run(ask, Size) ->
    {ok, Counter} = gen_server:start(?MODULE, counter, []),
    rate(Size, fun() -> ask(Counter, Size) end);
run(ping_pong, Size) ->
    Me = self(),
    Partner = spawn(fun() -> return_each(Size) end),
    rate(Size, fun() -> serve(Partner, Me, Size) end);
run(spawn_stop, Size) ->
    rate(Size, fun() -> live(Size) end);
run(restart, Size) ->
    {ok, Top} = supervisor:start_link(?MODULE, top),
    Delays = [crash(Top) || _ <- lists:seq(1, Size)],
    unlink(Top),
    exit(Top, shutdown),
    lists:nth((Size + 1) div 2, lists:sort(Delays)) / 1000;
run(Other, _) ->
    throw({unknown, Other}).

rate(Size, Work) ->
    Started = erlang:monotonic_time(nanosecond),
    Work(),
    Size / ((erlang:monotonic_time(nanosecond) - Started) / 1.0e9).

tell(_, 0) -> ok;
tell(Counter, Left) ->
    Counter ! {add, 1},
    tell(Counter, Left - 1).

count(Total) ->
    receive
        {add, Amount} -> count(Total + Amount);
        {total, From} -> From ! Total
    end.

ask(_, 0) -> ok;
ask(Counter, Left) ->
    _ = gen_server:call(Counter, {increase, 1}),
    ask(Counter, Left - 1).

serve(_, _, 0) -> ok;
serve(Partner, Me, Left) ->
    Partner ! {ball, Me},
    receive ball -> serve(Partner, Me, Left - 1) end.

return_each(0) -> ok;
return_each(Left) ->
    receive {ball, From} -> From ! ball end,
    return_each(Left - 1).

%% Ready, told to stop, seen ended: as in every other script.
live(0) -> ok;
live(Left) ->
    {ok, Pid} = gen_server:start(?MODULE, counter, []),
    Watch = monitor(process, Pid),
    gen_server:cast(Pid, stop),
    receive {'DOWN', Watch, process, Pid, normal} -> live(Left - 1) end.

crash(Top) ->
    [{worker, Pid, _, _}] = supervisor:which_children(Top),
    persistent_term:put(driver, self()),
    gen_server:cast(Pid, crash),
    receive {crashed, Raised} -> ok end,
    receive {ready, Ready} -> Ready - Raised end.

init(counter) -> {ok, 0};
init(worker) ->
    case persistent_term:get(driver, none) of
        none -> ok;
        Driver -> Driver ! {ready, erlang:monotonic_time(nanosecond)}
    end,
    {ok, 0};
init(top) ->
    persistent_term:erase(driver),
    Start = {gen_server, start_link, [?MODULE, worker, []]},
    {ok, {{one_for_one, 1000000, 1}, [{worker, Start, permanent, 5000, worker, [?MODULE]}]}}.

handle_call({increase, Amount}, _From, Total) ->
    {reply, Total + Amount, Total + Amount}.

handle_cast(stop, Total) ->
    {stop, normal, Total};
handle_cast(crash, Total) ->
    persistent_term:get(driver) ! {crashed, erlang:monotonic_time(nanosecond)},
    {stop, boom, Total}.

terminate(_, _) -> ok.
